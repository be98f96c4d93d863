package sensor

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/llenergymeasure/llem/plugins/sim/internal/bus"
	"github.com/llenergymeasure/llem/sdk"
)

// recording is what a source sent of one domain.
type recording struct {
	sdk.Domain
	batches []sdk.SampleBatch
	ns      []int64
	values  []int64
}

var errEnough = errors.New("enough")

// record opens a source and keeps its samples until enough says so of the
// first domain, or the stream ends.
func record(t *testing.T, parameters sdk.Table, enough func(*recording) bool) ([]*recording, error) {
	t.Helper()
	source := &Source{}
	domains, err := source.Open(t.Context(), sdk.OpenRequest{Parameters: parameters})
	if err != nil {
		t.Fatal(err)
	}
	var all []*recording
	for _, d := range domains {
		all = append(all, &recording{Domain: d})
	}
	err = source.Stream(t.Context(), func(b sdk.SampleBatch) error {
		r := all[slices.IndexFunc(all, func(r *recording) bool { return r.ID == b.DomainID })]
		r.batches = append(r.batches, b)
		r.ns, r.values = append(r.ns, b.MonoNs...), append(r.values, b.Values...)
		if r == all[len(all)-1] && enough(all[0]) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if closeErr := source.Close(context.Background()); closeErr != nil {
		t.Error(closeErr)
	}
	return all, err
}

func samples(n int) func(*recording) bool {
	return func(r *recording) bool { return len(r.values) >= n }
}

// Each reading says exactly what the closed form says, with lag, gain and
// offset, to the last count.
func TestEveryReadingIsExact(t *testing.T) {
	const period, averaging, lag = int64(2e6), int64(7e6), int64(3e6)
	for _, wave := range []string{"constant", "square", "sine"} {
		for _, reading := range []sdk.Reading{sdk.ReadingCounter, sdk.ReadingInstant, sdk.ReadingTrailingMean, sdk.ReadingIntervalMean} {
			t.Run(wave+" "+string(reading), func(t *testing.T) {
				t.Parallel()
				parameters := sdk.Table{
					"reading": string(reading), "wave": wave, "power_w": 80.0, "wave_w": 40.0, "wave_period_ms": 17.0,
					"period_ms": 2.0, "averaging_ms": 7.0, "lag_ms": 3.0, "gain": 1.5, "offset_w": 2.0,
				}
				all, err := record(t, parameters, samples(60))
				if err != nil {
					t.Fatal(err)
				}
				r := all[0]
				world, err := newTruth(withDefaults(parameters))
				if err != nil {
					t.Fatal(err)
				}
				if r.LagNs != lag || r.UpdatePeriodNs != period {
					t.Errorf("the domain is %+v", r.Domain)
				}
				origin := r.ns[0] - lag - period
				for i, ns := range r.ns {
					at := ns - lag
					var want float64
					switch reading {
					case sdk.ReadingCounter:
						want = 1.5*world.wave.EnergyJ(origin, at) + 2*float64(at-origin)/1e9
					case sdk.ReadingInstant:
						want = 1.5*world.wave.At(at) + 2
					case sdk.ReadingTrailingMean:
						want = 1.5*world.wave.EnergyJ(at-averaging, at)/float64(averaging)*1e9 + 2
					default:
						want = 1.5*world.wave.EnergyJ(at-period, at)/float64(period)*1e9 + 2
					}
					if got := float64(r.values[i]) / 1e6; math.Abs(got-want) > 1.01e-6 {
						t.Fatalf("sample %d at %d: %.6f, want %.6f", i, ns, got, want)
					}
					if ns%period != 0 || i > 0 && ns != r.ns[i-1]+period {
						t.Fatalf("sample %d is stamped %d after %d", i, ns, r.ns[max(0, i-1)])
					}
				}
			})
		}
	}
}

// What engines book is in the samples to the last count, however many there
// are, and a memory domain draws its quarter.
func TestTheLoadOnTheBusIsExact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus")
	writer, err := bus.NewWriter(path)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	booked, lastNs := 0.0, int64(0)
	all, err := record(t, sdk.Table{"bus": path, "power_w": 10.0, "period_ms": 1.0, "domains": []any{"gpu", "gpu_memory", "cpu_package"}}, func(r *recording) bool {
		if len(r.batches) <= 20 {
			for i := range 3 {
				at, err := writer.Book(sdk.MonoNow()+int64(i)*100_000, 250_000, 300)
				if err != nil {
					t.Error(err)
				}
				booked += 300 * 250e-6
				lastNs = max(lastNs, at+250_000)
			}
		}
		return len(r.batches) > 20 && r.ns[len(r.ns)-1] > lastNs
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, share := range []float64{1, memoryShare, 1} {
		r := all[i]
		duration := float64(r.ns[len(r.ns)-1]-r.ns[0]) / 1e9
		want := share * (10*duration + booked)
		got := float64(r.values[len(r.values)-1]-r.values[0]) / 1e6
		if math.Abs(got-want) > 2e-6 {
			t.Errorf("%s: %.6f J, want %.6f", r.ID, got, want)
		}
	}
	if all[1].ContainedIn != "gpu-0" || all[0].DeviceIDs[0] != "sim-gpu-0" || all[2].ContainedIn != "" {
		t.Errorf("domains %+v %+v", all[0].Domain, all[1].Domain)
	}
}

// Two sources with one seed read the same at the same stamps; another seed
// and another domain read something else.
func TestNoiseIsSeeded(t *testing.T) {
	noisy := func(seed int64) []*recording {
		all, err := record(t, sdk.Table{"reading": "instant", "noise": 0.02, "seed": seed, "period_ms": 1.0, "domains": []any{"gpu", "gpu"}}, samples(200))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	a := noisy(1)[0]
	reread, other := newDomains(withDefaults(sdk.Table{"reading": "instant", "noise": 0.02, "period_ms": 1.0, "domains": []any{"gpu", "gpu"}})), noisy(2)
	world := truth{}
	world.wave.BaseW = 100
	same, sum := 0, 0.0
	for i, ns := range a.ns {
		if got := reread[0].read(world, ns); got != a.values[i] {
			t.Fatalf("at %d a second source reads %d, the first %d", ns, got, a.values[i])
		}
		if reread[1].read(world, ns) == a.values[i] {
			same++
		}
		sum += math.Pow(float64(a.values[i])/100e6-1, 2)
	}
	if slices.Equal(other[0].values[:50], other[1].values[:50]) || same > 2 {
		t.Error("two domains share their noise")
	}
	if sd := math.Sqrt(sum / float64(len(a.ns))); sd < 0.015 || sd > 0.025 {
		t.Errorf("the noise is %g, want about 0.02", sd)
	}
}
