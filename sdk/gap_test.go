package sdk

import (
	"context"
	"testing"
	"time"
)

// gapped runs passes of one request each and returns their records. act is
// called within each pass.
func gapped(ctx context.Context, spec RunSpec, passes int, act func(*Run, *Pass)) []PassRecord {
	var records []PassRecord
	spec.Loop, spec.RequestsPerPass = LoopBatch, 1
	run := NewRun(spec, &Work{Items: make([]WorkItem, passes)}, func(e RunEvent) {
		if pass, ok := e.(PassRecord); ok {
			records = append(records, pass)
		}
	})
	for pass := range run.Passes(ctx) {
		act(run, pass)
		run.Complete(Completion{Request: pass.First, SentNs: MonoNow()})
	}
	return records
}

// The gaps lie before the passes, have the lengths that the seed gives, and no
// other seed's.
func TestGapsLieBetweenPasses(t *testing.T) {
	spec := RunSpec{GapNsMost: int64(3 * time.Millisecond), GapSeed: 7}
	planned := map[uint32][]int64{}
	for _, spec.GapSeed = range []uint32{7, 7, 8} {
		var gaps []int64
		records := gapped(t.Context(), spec, 20, func(_ *Run, p *Pass) { gaps = append(gaps, p.GapNs) })
		if len(records) != 20 || gaps[0] != 0 {
			t.Fatalf("%d passes, the first after a gap of %d ns", len(records), gaps[0])
		}
		for i := 1; i < len(records); i++ {
			if idle := records[i].BeginNs - records[i-1].EndNs; idle < gaps[i] || gaps[i] > spec.GapNsMost {
				t.Errorf("a gap of %d ns was planned, %d ns lie between the passes", gaps[i], idle)
			}
		}
		before, again := planned[spec.GapSeed]
		for i := range before {
			if again && before[i] != gaps[i] {
				t.Errorf("gap %d differs with the same seed", i)
			}
		}
		planned[spec.GapSeed] = gaps
	}
	if planned[7][1] == planned[8][1] && planned[7][2] == planned[8][2] {
		t.Error("two seeds give the same gaps")
	}
}

func TestWithoutGapsNothingWaits(t *testing.T) {
	gapped(t.Context(), RunSpec{GapSeed: 7}, 3, func(_ *Run, p *Pass) {
		if p.GapNs != 0 {
			t.Errorf("pass %d came after a gap of %d ns", p.Index, p.GapNs)
		}
	})
}

// A long gap does not hold up a stop or the end of the context.
func TestAGapEndsWithTheRun(t *testing.T) {
	spec := RunSpec{GapNsMost: int64(24 * time.Hour), GapSeed: 1}
	for name, act := range map[string]func(*Run, context.CancelFunc){
		"stop":   func(r *Run, _ context.CancelFunc) { r.RequestStop(StopAfterPass); r.RequestStop(StopAbort) },
		"cancel": func(_ *Run, cancel context.CancelFunc) { cancel() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if got := gapped(ctx, spec, 3, func(r *Run, _ *Pass) { act(r, cancel) }); len(got) != 1 {
			t.Errorf("%s: %d passes", name, len(got))
		}
		cancel()
	}
}
