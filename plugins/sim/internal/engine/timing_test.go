package engine

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Each step of a static batch takes exactly what the parameters say; padding
// and slots that are over cost as if used.
func TestAStaticBatchKeepsItsSchedule(t *testing.T) {
	e := loaded(t, sdk.Table{"step_us": 300.0, "sequence_us": 10.0, "prefill_us": 5.0, "batch_size": int64(2)})
	w := work(true, [2]int{8, 3}, [2]int{4, 1}, [2]int{6, 2}, [2]int{8, 3}, [2]int{4, 1}, [2]int{6, 2})
	r := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 3, Record: sdk.RecordToken}, w, nil)
	if r.err != nil || len(r.passes) != 2 || len(r.completions) != 6 {
		t.Fatalf("%d passes, %d completions, %v", len(r.passes), len(r.completions), r.err)
	}
	const two, one = 320_000, 310_000 // ns of a step with so many slots
	pass := []int64{two + 2*8*5000, two, two, one + 6*5000, one}
	for _, steps := range []sdk.Steps{r.steps[:5], r.steps[5:]} {
		if got := durations(steps); !slices.Equal(got, pass[1:]) {
			t.Errorf("steps took %v ns, want %v", got, pass[1:])
		}
	}
	first := r.completions[slices.IndexFunc(r.completions, func(c sdk.Completion) bool { return c.Request == 0 })]
	if ttft, all := first.FirstNs-first.SentNs, first.LastNs-first.SentNs; ttft != pass[0] || all != pass[0]+pass[1]+pass[2] {
		t.Errorf("request 0 has its tokens after %d and %d ns", ttft, all)
	}
	third := r.completions[slices.IndexFunc(r.completions, func(c sdk.Completion) bool { return c.Request == 2 })]
	if began := r.passes[0].BeginNs; first.IntendedNs != began || first.SentNs != began || third.IntendedNs != began ||
		third.SentNs-began != pass[0]+pass[1]+pass[2] || third.FirstNs-third.SentNs != pass[3] {
		t.Errorf("request 2 of the second batch is %+v, in a pass that began at %d", third, began)
	}
	if len(first.Chunks) != 3 || first.Chunks[1].MonoNs != first.FirstNs+two {
		t.Errorf("request 0 has the chunks %v", first.Chunks)
	}
	if length := pass[0] + pass[1] + pass[2] + pass[3] + pass[4]; r.passes[0].EndNs-r.passes[0].BeginNs != length ||
		r.passes[1].BeginNs != r.passes[0].EndNs || r.passes[1].EndNs-r.passes[1].BeginNs != length {
		t.Errorf("passes %+v, want them to follow each other and to last %d ns", r.passes, length)
	}
	for _, p := range r.passes {
		// 4 of the short prompt and 2 slots that are over.
		if p.PaddingTokens != 6 || p.PromptTokens != 18 || p.OutputTokens != 6 || p.PrefillEndNs != 0 {
			t.Errorf("pass %+v", p)
		}
	}
	counters, err := e.Counters(t.Context())
	if err != nil || *counters.EngineSteps != 10 || *counters.PromptTokens != 36 || *counters.OutputTokens != 12 ||
		*counters.PaddingTokens != 12 || *counters.RunningMean != 1.2 {
		t.Errorf("counters %+v, %v", counters, err)
	}
}

// The end of a single batch's prefill is known.
func TestTheEndOfThePrefill(t *testing.T) {
	e := loaded(t, sdk.Table{"step_us": 500.0})
	r := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 4}, work(true, equal(4, 3, 2)...), nil)
	if r.err != nil || len(r.passes) != 1 || r.passes[0].PrefillEndNs != r.steps[0].EndNs {
		t.Errorf("passes %+v, steps %+v, %v", r.passes, r.steps, r.err)
	}
}

// In a closed loop a new request is sent at the very end of the one before.
func TestAClosedLoopHasNoHoles(t *testing.T) {
	e := loaded(t, sdk.Table{"step_us": 400.0, "prefill_us": 0.0, "batch_size": int64(3)})
	r := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 3, Record: sdk.RecordRequest}, work(true, equal(12, 5, 4)...), nil)
	if r.err != nil || len(r.completions) != 12 || r.finished.Reason != sdk.FinishWorkUsedUp {
		t.Fatalf("%d completions, %s, %v", len(r.completions), r.finished.Reason, r.err)
	}
	for i, c := range r.completions {
		round := int64(i / 3)
		if sent, last := c.SentNs-r.completions[0].SentNs, c.LastNs-r.completions[0].SentNs; sent != round*1_600_000 || last != (round+1)*1_600_000 || len(c.Chunks) != 0 {
			t.Errorf("completion %d was sent at %d ns and ended at %d ns, with %d chunks", i, sent, last, len(c.Chunks))
		}
	}
}

// An open loop sends at the intended moments, whatever the engine does, and
// requests above the batch size wait.
func TestAnOpenLoopHonoursArrivals(t *testing.T) {
	e := loaded(t, sdk.Table{"step_us": 1000.0, "prefill_us": 0.0, "batch_size": int64(1)})
	w := work(true, equal(3, 2, 2)...)
	offsets := []int64{5e6, 6e6, 30e6}
	for i := range w.Items {
		w.Items[i].ArrivalOffsetNs = offsets[i]
	}
	r := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopOpen, Record: sdk.RecordChunk}, w, nil)
	if r.err != nil || len(r.completions) != 3 {
		t.Fatalf("%d completions, %v", len(r.completions), r.err)
	}
	begin := r.completions[0].SentNs - offsets[0]
	ends := []int64{7e6, 9e6, 32e6}
	for i, c := range r.completions {
		if c.SentNs-begin != offsets[i] || c.IntendedNs != c.SentNs || c.LastNs-begin != ends[i] || len(c.Chunks) != 2 {
			t.Errorf("request %d: sent %d, last %d ns after the begin, %d chunks", i, c.SentNs-begin, c.LastNs-begin, len(c.Chunks))
		}
	}
}

// Noise is the same for the same seed, another for another one, and as wide as
// it was asked for.
func TestNoiseIsSeeded(t *testing.T) {
	steps := func(seed int64) []int64 {
		e := loaded(t, sdk.Table{"step_us": 100.0, "prefill_us": 0.0, "noise": 0.1, "seed": seed})
		r := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 1}, work(true, [2]int{1, 200}), nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		return durations(r.steps)
	}
	a, b, c := steps(1), steps(1), steps(2)
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Error("noise does not follow the seed")
	}
	var square float64
	for _, ns := range a {
		square += (float64(ns)/100_000 - 1) * (float64(ns)/100_000 - 1)
	}
	if variance := square / float64(len(a)); variance < 0.007 || variance > 0.013 {
		t.Errorf("the variance is %g, want about 0.01", variance)
	}
}

// Natural lengths and outputs depend on the prompt only.
func TestOutputFollowsThePrompt(t *testing.T) {
	e := loaded(t, sdk.Table{"step_us": 10.0})
	one := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1}, work(false, equal(20, 6, 8)...), nil)
	two := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 20}, work(false, equal(20, 6, 8)...), nil)
	byRequest := map[uint32]sdk.Completion{}
	lengths := map[uint32]bool{}
	for _, c := range one.completions {
		byRequest[c.Request] = c
		lengths[c.OutputTokens] = true
	}
	for _, c := range two.completions {
		if other := byRequest[c.Request]; c.OutputTokens != other.OutputTokens || *c.OutputHash != *other.OutputHash {
			t.Errorf("request %d has %d tokens here and %d there", c.Request, c.OutputTokens, other.OutputTokens)
		}
	}
	if len(byRequest) != 20 || len(lengths) < 3 {
		t.Errorf("%d requests of the lengths %v", len(byRequest), lengths)
	}
}

// A machine that stalls longer than a span may be booked late moves the schedule, and
// the Run says so; a Run without a stall does not. Here the bus's lock is held.
func TestAMovedScheduleIsAWarning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus")
	e := loaded(t, sdk.Table{"step_us": 1000.0, "busy_w": 10.0, "bus": path})
	bus, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	for stall := 250 * time.Millisecond; ; stall *= 2 {
		if err := syscall.Flock(int(bus.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		before := e.counts.movedSoFar()
		time.AfterFunc(stall, func() { _ = syscall.Flock(int(bus.Fd()), syscall.LOCK_UN) })
		r := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 1}, work(true, equal(1, 2, 2)...), nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		moved := e.counts.movedSoFar() > before
		if warned := len(r.finished.Warnings) == 1 && r.finished.Warnings[0].Code == "schedule_moved"; warned != moved || len(r.finished.Warnings) > 1 {
			t.Fatalf("moved %v, warnings %+v", moved, r.finished.Warnings)
		}
		if moved {
			break
		}
		if stall > 20*time.Second {
			t.Fatal("no stall moved the schedule")
		}
	}
	if r := drive(t.Context(), loaded(t, nil), sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 1}, work(true, equal(1, 2, 2)...), nil); len(r.finished.Warnings) != 0 {
		t.Errorf("without a stall: %+v", r.finished.Warnings)
	}
}
