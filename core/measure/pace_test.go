package measure

import (
	"testing"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// Work is prepared for the greatest rate that the warm-up saw: an engine that
// compiles at first must not run out of it.
func TestWarmRate(t *testing.T) {
	second := int64(time.Second)
	var loop []sdk.Completion
	for i := range int64(40) {
		loop = append(loop, sdk.Completion{LastNs: 60*second + i*second/10})
	}
	loop = append(loop, sdk.Completion{Error: "no slot", LastNs: 65 * second})
	for _, c := range []struct {
		name string
		run  driven
		want float64
	}{
		{"the fastest pass", driven{record: result.Run{EndNs: 60 * second, Requests: 8, Passes: []sdk.PassRecord{
			{EndNs: 50 * second, Requests: 4}, {BeginNs: 50 * second, EndNs: 52 * second, Requests: 4},
		}}}, 2},
		{"failures do not count", driven{record: result.Run{EndNs: 10 * second, Requests: 4, Failed: 4, Passes: []sdk.PassRecord{{EndNs: second, Requests: 4, Failed: 4}}}}, 0},
		{"the later half of a loop", driven{record: result.Run{EndNs: 65 * second, Requests: 41, Failed: 1}, completions: loop}, 10},
		{"too few for halves", driven{record: result.Run{EndNs: 4 * second, Requests: 4}, completions: loop[:4]}, 1},
	} {
		if got := warmRate(c.run, 4); got < c.want*0.999 || got > c.want*1.001 {
			t.Errorf("%s: %v requests/s, want %v", c.name, got, c.want)
		}
	}
}

// The warm-up goes on for its time after the first pass, however long that
// took.
func TestStopWarmUp(t *testing.T) {
	second := int64(time.Second)
	pass := []sdk.PassRecord{{EndNs: 50 * second}}
	batch, closed := sdk.RunSpec{Loop: sdk.LoopBatch}, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 8}
	type look struct {
		view runView
		want sdk.StopKind
	}
	for name, c := range map[string]struct {
		spec  sdk.RunSpec
		limit int64
		looks []look
	}{
		"batch": {batch, 2 * second, []look{
			{runView{nowNs: 49 * second}, sdk.StopNone}, {runView{nowNs: 50 * second, passes: pass}, sdk.StopNone},
			{runView{nowNs: 51 * second, passes: pass}, sdk.StopNone}, {runView{nowNs: 52 * second, passes: pass}, sdk.StopAfterPass},
		}},
		"closed": {closed, 2 * second, []look{
			{runView{nowNs: 9 * second, beats: []sdk.Heartbeat{{Done: 7}}}, sdk.StopNone},
			{runView{nowNs: 10 * second, beats: []sdk.Heartbeat{{Done: 7}, {Done: 8}}}, sdk.StopNone},
			{runView{nowNs: 12 * second, beats: []sdk.Heartbeat{{Done: 7}, {Done: 9}}}, sdk.StopDrain},
		}},
		"fast": {batch, 0, []look{{runView{nowNs: 99 * second, passes: pass}, sdk.StopNone}}},
	} {
		stop := stopWarmUp(c.spec, c.limit)
		for i, l := range c.looks {
			if got := stop(l.view); got != l.want {
				t.Errorf("%s, look %d: %q, want %q", name, i, got, l.want)
			}
		}
	}
}

// A pass of static batches completes nothing until its end: what the warm-up
// took is no stall.
func TestALongPassIsNoStall(t *testing.T) {
	trial := &trial{session: &session{Options: Options{Stall: time.Minute}}, record: &result.Trial{WarmUp: &result.Run{}}}
	if got := trial.stall(); got != time.Minute {
		t.Errorf("without passes: %v", got)
	}
	trial.record.WarmUp.Passes = []sdk.PassRecord{{EndNs: 1e9}, {BeginNs: 1e9, EndNs: 201e9}}
	if got := trial.stall(); got != 1000*time.Second {
		t.Errorf("with a pass of 200 s: %v", got)
	}
}

// A decision costs little however many passes there are: it is made on the
// machine under measurement.
func TestDecisionsDoNotGrowWithTheRun(t *testing.T) {
	trial := &trial{
		session:  &session{windows: 1},
		cell:     study.Cell{Load: study.LoadSpec{Mode: "batch"}},
		record:   &result.Trial{},
		recorder: &recorder{},
	}
	view := runView{nowNs: 100_000 * 1e6, passes: make([]sdk.PassRecord, 100_000)}
	for i := range view.passes {
		view.passes[i] = sdk.PassRecord{BeginNs: int64(i) * 1e6, EndNs: int64(i+1) * 1e6}
	}
	few := view
	few.passes = view.passes[:10]
	cost := func(v runView) float64 { return testing.AllocsPerRun(10, func() { trial.settleState(v) }) }
	if many, small := cost(view), cost(few); many != small {
		t.Errorf("a look allocates %v times after 100,000 passes and %v after 10", many, small)
	}
	if s := trial.settleState(view); len(s.passTimes) != settlePasses || s.passes != 100_000 {
		t.Errorf("a look takes %d pass times", len(s.passTimes))
	}
	if spec := trial.spec(""); !trial.enough(view, spec, 50_000*1e6, 40_000*1e6) || trial.enough(view, spec, 50_000*1e6, 60_000*1e6) {
		t.Error("50 s of passes hold a window of 40 s and none of 60 s")
	}
	loop := trial
	loop.cell.Load = study.LoadSpec{Mode: "closed", Concurrency: 1}
	if loop.enough(runView{nowNs: 9e9}, loop.spec(""), 1e9, 1e9) {
		t.Error("a loop without a heartbeat has enough")
	}
}

func TestWorkIsCapped(t *testing.T) {
	for _, c := range []struct {
		rate   float64
		tokens int
		capped bool
	}{{10, 100, false}, {1e12, 100, true}, {10, 1 << 30, true}} {
		w := study.Workload{Requests: 4, InputTokens: c.tokens}
		passes, wanted := passesToPrepare(w, 4, 2, c.rate, 10)
		if passes < 1 || (passes < wanted) != c.capped {
			t.Errorf("%v requests/s of %d tokens: %d passes of %d", c.rate, c.tokens, passes, wanted)
		}
		if tokens := int64(passes) * 4 * int64(c.tokens+requestTokens); passes > 1 && tokens > mostPreparedTokens {
			t.Errorf("%d tokens are prepared", tokens)
		}
	}
}

// Few tokens are prepared with a large surplus, many with a small one: a warm-up
// beside other processes tells too low a rate.
func TestTheSurplusOfWork(t *testing.T) {
	for _, c := range []struct {
		rate          float64
		tokens        int // of a prompt
		surplus, most float64
	}{
		{0.5, 128, mostSurplus, mostSurplus}, {40, 128, mostSurplus, mostSurplus},
		{160, 128, 3, mostSurplus}, {97, 128, 3, mostSurplus}, {2000, 128, leastSurplus, leastSurplus},
		{10, 100_000, leastSurplus, leastSurplus}, {0, 128, 0, 0},
	} {
		w := study.Workload{Requests: 4, InputTokens: c.tokens}
		const longestS, windows, unit = 60.0, 2, 4
		passes, wanted := passesToPrepare(w, unit, windows, c.rate, longestS)
		predicted := c.rate * longestS / unit
		got := float64(passes - 3*(windows+1))
		if passes != wanted || got < c.surplus*predicted || got > c.most*predicted+1 {
			t.Errorf("%v requests/s of %d tokens: %d passes of %d for %.1f predicted", c.rate, c.tokens, passes, wanted, predicted)
		}
		if tokens := got * unit * float64(c.tokens+requestTokens); c.surplus > leastSurplus && tokens > surplusTokens+float64(unit*(c.tokens+requestTokens)) {
			t.Errorf("%v requests/s of %d tokens: %.0f tokens are prepared", c.rate, c.tokens, tokens)
		}
	}
}

func TestCountersAreComparedWithCompletions(t *testing.T) {
	count := func(n int64) *sdk.Counters { return &sdk.Counters{OutputTokens: &n} }
	whole := []sdk.Completion{{OutputTokens: 10}, {OutputTokens: 10}}
	aborted := []sdk.Completion{{OutputTokens: 10}, {OutputTokens: 3, FinishReason: "aborted"}}
	failed := []sdk.Completion{{OutputTokens: 10}, {OutputTokens: 3, Error: "gone"}}
	for _, c := range []struct {
		before, after *sdk.Counters
		done          []sdk.Completion
		doubt         bool
	}{
		{nil, nil, whole, false},
		{&sdk.Counters{}, &sdk.Counters{}, whole, false},
		{count(5), count(25), whole, false},
		{count(5), count(26), whole, true},
		{count(5), count(24), whole, true},
		{count(25), count(5), whole, true},
		{count(0), count(16), aborted, false},
		{count(0), count(12), aborted, true},
		{count(0), count(16), failed, false},
	} {
		trial := &trial{record: &result.Trial{}}
		trial.countersMismatch(driven{record: result.Run{Before: c.before, After: c.after}, completions: c.done})
		if doubt := len(trial.record.Warnings) == 1 && trial.record.Warnings[0].Severity == energy.SeverityWarning; doubt != c.doubt {
			t.Errorf("%+v: warnings %+v", c, trial.record.Warnings)
		}
	}
}
