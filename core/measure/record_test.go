package measure

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// A source is borne at a hundred times its rate and after a long silence, and
// no further.
func TestAFlood(t *testing.T) {
	const ms = int64(1e6)
	batch := func(n int64) sdk.SampleBatch {
		return sdk.SampleBatch{DomainID: "d", MonoNs: make([]int64, n), Values: make([]int64, n)}
	}
	for _, c := range []struct {
		updateNs, perS int64 // the bound
	}{{100 * ms, 1000}, {10 * ms, 10_000}, {0, 20_000}, {60_000 * ms, 1000}, {1, 50_000}} {
		steady := newFloodGauge(c.updateNs)
		now := int64(1e9)
		for range 1000 { // 100 s at the bound
			if now += 100 * ms; steady.take(batch(c.perS/10), now) != nil {
				t.Fatalf("%d a second of a %d-ns sensor are a flood", c.perS, c.updateNs)
			}
		}
		flooded, sent := newFloodGauge(c.updateNs), int64(0)
		var err error
		for now = 3600e9; err == nil; now += ms { // 1000 samples a millisecond
			err = flooded.take(batch(1000), now)
			sent += 1000
		}
		if sent > floodBurstS*c.perS*11/10+1000 || !errors.Is(err, host.SourceFlood) {
			t.Errorf("%d samples of a %d-ns sensor were borne; %v", sent, c.updateNs, err)
		}
		// An hour of quiet earns no more than the burst.
		if steady.take(batch(floodBurstS*c.perS), now+3600e9) != nil || steady.take(batch(1+c.perS/1000), now+3600e9) == nil {
			t.Errorf("after an hour of quiet of a %d-ns sensor", c.updateNs)
		}
	}
	// Empty batches are a flood, too.
	empty, taken := newFloodGauge(100*ms), 0
	for empty.take(sdk.SampleBatch{DomainID: "d"}, 1) == nil {
		taken++
	}
	if taken != 2000 {
		t.Errorf("%d empty batches at once", taken)
	}
}

func TestAWatermarkThatStandsStill(t *testing.T) {
	const s = int64(1e9)
	d := energy.Domain{UpdateNs: s / 10, FirstSampleNs: 2 * s}
	var w watermark
	looks := func(atNs int64, want bool) {
		t.Helper()
		if got := w.standsStill(d, standstillLimit, atNs); got != want {
			t.Errorf("at %d s: %v", atNs/s, got)
		}
	}
	w.begin(100 * s)
	looks(107*s, false) // the first sample may take 2 s
	looks(107*s+1, true)
	w.advance(107*s, 108*s)
	looks(113*s, false)
	if w.wasStuckNs() != 7*s+1 {
		t.Errorf("stuck for %d ns", w.wasStuckNs())
	}
	w.advance(107*s, 113*s) // no progress
	looks(113*s+1, true)
	w.advance(112*s, 118*s) // one that delivers every 10 s
	looks(138*s, false)
	looks(138*s+1, true)
	d.UpdateNs = 2 * s
	looks(158*s, false)
	looks(158*s+1, true)
}

// A day of samples does not stay, and a trial that begins after the trimming
// stores the same as without it.
func TestTrimKeepsWhatATrialNeeds(t *testing.T) {
	const day = int64(86400e9)
	for _, d := range []energy.Domain{
		{ID: "counter", Reading: energy.ReadingCounter, UpdateNs: 100e6},
		{ID: "average", Reading: energy.ReadingTrailingMean, UpdateNs: 1e9, AveragingNs: 30e9, LagNs: 5e9},
		{ID: "slow", Reading: energy.ReadingIntervalMean, UpdateNs: 60e9},
		{ID: "changes", Reading: energy.ReadingInstant, UpdateNs: 100e6, ChangesOnly: true},
	} {
		d.UnitNum, d.UnitDen = 1, 1
		builder, err := energy.NewBuilder(d)
		if err != nil {
			t.Fatal(err)
		}
		var batch energy.Batch
		period := max(d.UpdateNs, 1e9)
		for ns := period; ns <= day+600e9; ns += period {
			batch.StampsNs, batch.Values = append(batch.StampsNs, ns), append(batch.Values, ns/1e9)
			batch.CompleteUntilNs = ns
		}
		builder.Append(batch)
		r := &recorder{sources: []openSource{{feeds: map[string]*feed{"d": {domain: d, builder: builder}}}}}
		whole := r.traces()
		r.trim(day)
		trimmed := r.traces()
		if n, most := len(trimmed[d.ID].Samples()), int(600e9/period)+100; n > most {
			t.Errorf("%s: %d samples stay, want at most %d", d.ID, n, most)
		}
		dir, err := result.Create(t.TempDir(), "test", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var stored []map[string]*energy.Trace
		for _, traces := range []map[string]*energy.Trace{whole, trimmed} {
			attempt, err := dir.Begin("a", 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := attempt.WritePower(traces, day, day+300e9); err != nil {
				t.Fatal(err)
			}
			if err := attempt.Fail(result.Trial{SchemaVersion: result.SchemaVersion, Cell: result.Cell{ID: "a"}, Status: result.StatusFailed, Failure: &result.Failure{}}); err != nil {
				t.Fatal(err)
			}
		}
		files, err := filepath.Glob(filepath.Join(dir.Path(), "attempts", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			traces, err := result.ReadPower(file)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, traces)
		}
		if len(stored) != 2 {
			t.Fatalf("%d attempts in %s", len(stored), dir.Path())
		}
		if diff := cmp.Diff(stored[0][d.ID].Samples(), stored[1][d.ID].Samples()); diff != "" {
			t.Errorf("%s: %s", d.ID, diff)
		}
	}
}

// A sensor that hangs in its driver does not keep the study from its end.
func TestAStreamThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	defer close(hang)
	r, err := openSources(t.Context(), &drawer{sensors: map[string]*drawnSensor{"rapl": {hang: hang}}}, []string{"rapl"}, false)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		r.close(context.Background())
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * closeLimit):
		t.Error("close does not end")
	}
}
