package nvml

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
)

// What is read of a GPU, from the best to the least.
func TestFallbackOrder(t *testing.T) {
	const noRing, noCounter = 1, 2
	average, instant := field{fieldPowerAverage, scopeGPU}, field{fieldPowerInstant, scopeGPU}
	moduleAverage, memory := field{fieldPowerAverage, scopeModule}, field{fieldPowerAverage, scopeMemory}
	for _, x := range []struct {
		name        string
		lacks       int
		fields      []field
		plain       error
		arch, model string
		want        string // id kind reading averaging/update of each domain
	}{
		{"H100", 0, []field{average, instant, memory}, nil, "hopper", "NVIDIA H100 80GB HBM3",
			"u gpu interval_mean 0/20; u/counter gpu counter 0/100; u/memory gpu_memory trailing_mean 1000/300 in u"},
		{"L40S", 0, []field{average, instant}, nil, "ada", "NVIDIA L40S", "u gpu interval_mean 0/20; u/counter gpu counter 0/100"},
		{"counter only", noRing, []field{average, instant}, nil, "ampere", "NVIDIA A100-SXM4-80GB", "u/counter gpu counter 0/100"},
		{"average", noRing | noCounter, []field{average, instant}, nil, "hopper", "", "u/average gpu trailing_mean 1000/100"},
		{"Grace", noRing | noCounter, []field{moduleAverage}, nil, "hopper", "", "u/average module trailing_mean 1000/100"},
		{"Grace's counter", noRing, []field{{fieldEnergy, scopeModule}, moduleAverage}, nil, "hopper", "", "u/counter module counter 0/100"},
		{"instant, Hopper", noRing | noCounter, []field{instant}, nil, "hopper", "", "u/instant gpu instant 25/100"},
		{"instant, A100", noRing | noCounter, []field{instant}, nil, "ampere", "NVIDIA A100-PCIE-40GB", "u/instant gpu instant 25/100"},
		{"instant, A10", noRing | noCounter, []field{instant}, nil, "ampere", "NVIDIA A10", "u/instant gpu instant 100/100"},
		{"plain, V100", noRing | noCounter, nil, nil, "volta", "Tesla V100-SXM2-16GB", "u/instant gpu instant 10/20"},
		{"plain, Ada", noRing | noCounter, nil, nil, "ada", "NVIDIA L40S", "u/average gpu trailing_mean 1000/100"},
		{"plain, unknown", noRing | noCounter, nil, nil, "", "", "u/instant gpu instant 0/100"},
		{"nothing", noRing | noCounter, nil, errAbsent, "", "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newFake("u")
				g.facts.Architecture, g.facts.Model, g.plainErr = x.arch, x.model, x.plain
				if x.lacks&noRing != 0 {
					g.ringErr = errAbsent
				}
				if x.lacks&noCounter != 0 {
					g.counterErr = errAbsent
				}
				for _, f := range x.fields {
					g.fields[f] = 300_000
				}
				s := sourceOf(g)
				if x.want == "" {
					if _, err := s.Open(t.Context(), sdk.OpenRequest{}); !errors.Is(err, sdk.DeviceMissing) || codes(s)[EventGPUUnreadable] != 1 {
						t.Errorf("%v", err)
					}
					return
				}
				c, domains, err := streamed(t, s, 12*time.Second, nil)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, d := range domains {
					text := fmt.Sprintf("%s %s %s %d/%d", d.ID, d.Kind, d.Reading, d.AveragingNs/1e6, d.UpdatePeriodNs/1e6)
					if d.ContainedIn != "" {
						text += " in " + d.ContainedIn
					}
					got = append(got, text)
					trace := traceOf(t, c, d)
					end := trace.CompleteUntilNs - 2e9
					w, err := trace.Window(end-6e9, end)
					if d.Reading == sdk.ReadingCounter && !strings.Contains(x.want, "/counter") {
						t.Errorf("unexpected counter")
					}
					if err != nil || w.EnergyJ < 1780 || w.EnergyJ > 1820 {
						t.Errorf("%s: %v J of 1800, %v", d.ID, w.EnergyJ, err)
					}
					if ring := d.Reading == sdk.ReadingIntervalMean; ring && x.arch != "hopper" != strings.Contains(d.Doc, "supposed") {
						t.Errorf("%s: %s", d.ID, d.Doc)
					}
					if most := map[bool]float64{true: 0, false: mostTimes * 700}[d.Kind == sdk.DomainModule]; d.MostPowerW != most {
						t.Errorf("%s: at most %g W", d.ID, d.MostPowerW)
					}
					unknown := d.Reading == sdk.ReadingInstant && d.AveragingNs == 0
					if quarter := d.AveragingNs == 25e6 || unknown; quarter != (w.CoverageRatio < 0.3) && d.Reading != sdk.ReadingCounter {
						t.Errorf("%s: coverage %v", d.ID, w.CoverageRatio)
					}
				}
				if text := strings.Join(got, "; "); text != x.want {
					t.Errorf("got  %s\nwant %s", text, x.want)
				}
			})
		})
	}
}

// A ring that answers and holds nothing, and a counter that stands still, are not
// taken for sensors.
func TestSensorsThatSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, bend := range map[string]func([]ringSample) []ringSample{
			"empty":          func([]ringSample) []ringSample { return nil },
			"unused entries": func(l []ringSample) []ringSample { return make([]ringSample, len(l)) },
			"zeros": func(l []ringSample) []ringSample {
				for i := range l {
					l[i].MilliW = 0
				}
				return l
			},
		} {
			g := newFake("u")
			g.bend = bend
			domains, err := sourceOf(g).Open(t.Context(), sdk.OpenRequest{})
			if err != nil || len(domains) != 1 || domains[0].ID != "u/counter" || !strings.Contains(domains[0].Doc, errEmptyRing.Error()) {
				t.Errorf("%s: %+v, %v", name, domains, err)
			}
			g.bendEnergy = func(int, uint64) uint64 { return 5 }
			g.fields[field{fieldPowerAverage, scopeGPU}] = 300_000
			s := sourceOf(g)
			if err := s.Characterise(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			domains, err = s.Open(t.Context(), sdk.OpenRequest{})
			if err != nil || len(domains) != 1 || domains[0].ID != "u/average" {
				t.Errorf("%s and stuck: %+v, %v", name, domains, err)
			}
		}
	})
}

// The domains make the headline that they should: the ring, checked by the
// counter, with memory as a column of its own.
func TestDomainsMakeTheHeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newFake("u")
		g.fields[field{fieldPowerAverage, scopeMemory}] = 43_000
		r, err := probe(t.Context(), g, "host", nil, bubbleClocks(), &eventLog{})
		if err != nil {
			t.Fatal(err)
		}
		var list []energy.Domain
		for _, d := range r.domains {
			list = append(list, energy.Domain{ID: d.ID, Kind: string(d.Kind), DeviceIDs: d.DeviceIDs, ContainedIn: d.ContainedIn, Reading: energy.Reading(d.Reading), UpdateNs: d.UpdatePeriodNs, AveragingNs: d.AveragingNs, Host: d.Host})
		}
		choice := energy.Headline(list, []string{"u"})
		if len(choice.Headline) != 1 || choice.Headline[0].ID != "u" || len(choice.Checks) != 1 || choice.Checks[0].ID != "u/counter" || len(choice.Others) != 1 {
			t.Errorf("%+v", choice)
		}
	})
}

func TestOpenErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := newFake("GPU-1")
		refused.ringErr, refused.counterErr, refused.plainErr = errPermission, errPermission, errPermission
		if _, err := sourceOf(refused).Open(t.Context(), sdk.OpenRequest{}); !errors.Is(err, sdk.Permission) {
			t.Errorf("permission: %v", err)
		}
		if _, err := sourceOf().Open(t.Context(), sdk.OpenRequest{}); !errors.Is(err, sdk.DeviceMissing) {
			t.Errorf("no GPU: %v", err)
		}
		s := sourceOf(newFake("GPU-a"), newFake("GPU-b"))
		s.getenv = func(name string) (string, bool) { return "", name == "CUDA_VISIBLE_DEVICES" }
		if _, err := s.Open(t.Context(), sdk.OpenRequest{}); err == nil || !strings.Contains(err.Error(), "none of 2 GPUs") {
			t.Errorf("all hidden: %v", err)
		}
		s = sourceOf(newFake("GPU-a"), newFake("GPU-b"), refused)
		s.getenv = func(string) (string, bool) { return "GPU-b,GPU-1", true }
		domains, err := s.Open(t.Context(), sdk.OpenRequest{})
		if err != nil || len(domains) != 2 || domains[0].ID != "GPU-b" || codes(s)[EventGPUUnreadable] != 1 {
			t.Errorf("visible: %v, %v, %v", domains, err, s.Events(0))
		}
		if _, err := s.Open(t.Context(), sdk.OpenRequest{}); !errors.Is(err, sdk.CallOrder) {
			t.Errorf("twice: %v", err)
		}
		unlike := newFake("GPU-b")
		unlike.facts.Model = "NVIDIA L4"
		s = sourceOf(newFake("GPU-a"), unlike)
		s.getenv = func(name string) (string, bool) { return "1", name == "CUDA_VISIBLE_DEVICES" }
		if _, err := s.Open(t.Context(), sdk.OpenRequest{}); err != nil || codes(s)[EventVisibleDevices] != 1 {
			t.Errorf("unlike GPUs by index: %v, %v", err, s.Events(0))
		}
	})
}

func TestTelemetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFake("GPU-a"), newFake("GPU-b")
		a.fields[field{fieldPowerCapTime, scopeGPU}] = 7
		a.fields[field{fieldHWThermalTime, scopeGPU}] = 1 << 63 // no duration
		s := sourceOf(a, b)
		if _, err := s.Open(t.Context(), sdk.OpenRequest{}); err != nil {
			t.Fatal(err)
		}
		if r := s.Read(nil); len(r) != 2 || *r["GPU-a"].TemperatureC != 60 || r["GPU-a"].SMClockMHz != nil || r["GPU-b"].MonoNs == 0 {
			t.Errorf("%+v", r)
		}
		if r := s.Read([]string{"GPU-b", "GPU-x"}); len(r) != 1 {
			t.Errorf("%+v", r)
		}
		shot := s.Snapshot([]string{"GPU-a"})["GPU-a"]
		if shot.PowerCapNs == nil || *shot.PowerCapNs != 7 || shot.HWThermalNs != nil || shot.SWThermalNs != nil || shot.Processes == nil || shot.Reading.TemperatureC == nil {
			t.Errorf("%+v", shot)
		}
		if f := s.Facts(); len(f) != 2 || f[1].UUID != "GPU-b" || len(f[0].Sensors) != 0 {
			t.Errorf("%+v", f)
		}
	})
}
