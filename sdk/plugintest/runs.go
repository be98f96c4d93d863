package plugintest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// The rules about a Run that comes to its own end. That its stamps lie inside
// it, that records agree with the totals and with what was prepared, is held
// against every Run by the host; the first of these rules shows it.
const exactRule = "passes, requests and tokens of a Run are exact"

var runRules = []rule{
	{exactRule, exact},
	{"a Run ends when its work is used up", usedUp},
	{"a closed loop keeps its concurrency", closedLoop},
	{"an open loop sends when requests are due, and keeps all records when it is broken off", openLoop},
	{"gaps between passes lie outside them", passGaps},
	{"heartbeats arrive during a Run", heartbeats},
	{"Run, Prepare and Load are refused during a Run", oneAtATime},
	{"the engine's counters never fall", counters},
}

// running returns the shared engine for a rule that takes exact Runs for
// granted.
func (s *suite) running(ctx context.Context) (*engine, error) {
	if s.broken[exactRule] {
		return nil, skip("the engine's Runs are not exact")
	}
	return s.loaded(ctx)
}

// passes of a bounded Run, and after how many of them it begins.
const (
	boundedPasses = 3
	skippedPasses = 2
)

func exact(ctx context.Context, s *suite) error {
	e, err := s.loaded(ctx)
	if err != nil {
		return err
	}
	loop, err := e.anyLoop(sdk.LoopBatch, sdk.LoopClosed)
	if err != nil {
		return err
	}
	for _, first := range []uint32{0, skippedPasses * e.perPass()} {
		spec := e.spec(loop)
		spec.First = first
		requests := boundedPasses * e.perPass()
		if loop == sdk.LoopBatch {
			spec.MaxPasses = boundedPasses
		} else {
			spec.MaxRequests = requests
		}
		var failed error
		finished, err := e.drive(ctx, spec, int((skippedPasses+boundedPasses+1)*e.perPass()), func(event sdk.RunEvent) error {
			if completions, ok := event.(sdk.Completions); ok && failed == nil {
				failed = e.judgeCompletions(completions, first, first+requests)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := errors.Join(failed, e.judgeTotals(finished, sdk.FinishLimit, int64(requests))); err != nil {
			return fmt.Errorf("a %s Run of %d requests from number %d on: %w", loop, requests, first, err)
		}
		if loop == sdk.LoopBatch && finished.Passes != boundedPasses {
			return fmt.Errorf("a Run of at most %d passes had %d", boundedPasses, finished.Passes)
		}
	}
	return nil
}

// judgeCompletions wants every request to have succeeded, and to be one of
// those that were to be sent.
func (e *engine) judgeCompletions(completions sdk.Completions, low, high uint32) error {
	for _, c := range completions {
		switch {
		case c.Failed():
			return fmt.Errorf("request %d failed: %s", c.Request, c.Error)
		case c.Request < low || c.Request >= high:
			return fmt.Errorf("request %d was sent, and %d to %d were to be", c.Request, low, high-1)
		}
	}
	return nil
}

// warningCode is how the code of a warning is written.
var warningCode = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// judgeWarnings wants notes that a program can tell apart and a person read.
func judgeWarnings(list []sdk.Warning) error {
	for _, w := range list {
		if !warningCode.MatchString(w.Code) || w.Message == "" {
			return fmt.Errorf("the warning %+v needs a code of lower-case words with underscores, and a message", w)
		}
	}
	return nil
}

func (e *engine) judgeTotals(f sdk.Finished, reason sdk.FinishReason, requests int64) error {
	tokens := requests * int64(e.maxTokens())
	if err := judgeWarnings(f.Warnings); err != nil {
		return err
	}
	switch {
	case f.Reason != reason:
		return fmt.Errorf("it ended for the reason %q and should for %q", f.Reason, reason)
	case f.Completions != requests:
		return fmt.Errorf("it completed %d requests and should %d", f.Completions, requests)
	case e.cell.Workload.ExactLengths && f.OutputTokens != tokens:
		return fmt.Errorf("it counted %d output tokens; exact lengths ask for %d", f.OutputTokens, tokens)
	}
	return nil
}

func usedUp(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	loop, err := e.anyLoop(sdk.LoopBatch, sdk.LoopClosed)
	if err != nil {
		return err
	}
	requests := 2 * int(e.perPass())
	finished, err := e.drive(ctx, e.spec(loop), requests, ignore)
	if err != nil {
		return err
	}
	return e.judgeTotals(finished, sdk.FinishWorkUsedUp, int64(requests))
}

func closedLoop(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	if !e.can(sdk.LoopClosed) {
		return skip("the backend does not declare the closed loop")
	}
	spec := e.spec(sdk.LoopClosed)
	spec.MaxRequests = 4 * spec.Concurrency
	var all sdk.Completions
	finished, err := e.drive(ctx, spec, int(8*spec.Concurrency), func(event sdk.RunEvent) error {
		if completions, ok := event.(sdk.Completions); ok {
			all = append(all, completions...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := e.judgeTotals(finished, sdk.FinishLimit, int64(spec.MaxRequests)); err != nil {
		return err
	}
	if most := mostInFlight(all); most > int(spec.Concurrency) {
		return fmt.Errorf("%d requests were in flight at once; the concurrency is %d", most, spec.Concurrency)
	}
	return nil
}

// mostInFlight sweeps over the moments at which requests were sent and got
// their last token; at equal stamps the end comes first.
func mostInFlight(completions sdk.Completions) int {
	type edge struct {
		atNs   int64
		change int
	}
	var edges []edge
	for _, c := range completions {
		edges = append(edges, edge{c.SentNs, 1}, edge{max(c.LastNs, c.SentNs), -1})
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if a.atNs != b.atNs {
			return int(max(-1, min(1, a.atNs-b.atNs)))
		}
		return a.change - b.change
	})
	most, now := 0, 0
	for _, x := range edges {
		now += x.change
		most = max(most, now)
	}
	return most
}

// beatWindow is how long a Run must last for its heartbeats to be counted.
const beatWindow = 1050 * time.Millisecond

func heartbeats(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	loop, err := e.anyLoop(sdk.LoopBatch, sdk.LoopClosed)
	if err != nil {
		return err
	}
	spec := e.spec(loop)
	spec.MaxDurationNs = int64(beatWindow)
	var began int64
	beats := 0
	on := func(event sdk.RunEvent) error {
		switch x := event.(type) {
		case sdk.Started:
			began, beats = x.MonoNs, 0
		case sdk.Heartbeat:
			beats++
		}
		return nil
	}
	var lasted int64
	finished, err := e.sustain(ctx, spec, on, func() bool { lasted = sdk.MonoNow() - began; return lasted >= int64(time.Second) })
	if err != nil {
		return err
	}
	// A busy machine may delay two of three.
	due := (finished.MonoNs - began) / int64(spec.HeartbeatMs) / int64(time.Millisecond)
	if int64(beats) < due/3 {
		return fmt.Errorf("%d heartbeats came in %.1f s; every %d ms one was due", beats, float64(lasted)/1e9, spec.HeartbeatMs)
	}
	return nil
}

func oneAtATime(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	workDir, cacheDir, err := s.dirs()
	if err != nil {
		return err
	}
	var answers error
	err = e.interrupt(ctx, func(id string) error {
		spec := e.spec(sdk.LoopBatch)
		spec.WorkID, spec.MaxPasses = id, 1
		_, prepared := e.Prepare(ctx, &sdk.Work{Items: []sdk.WorkItem{{TokenIDs: []uint32{1}, MaxTokens: 1}}})
		_, loaded := e.Load(ctx, s.request(workDir, cacheDir), nil)
		answers = errors.Join(
			refused("a Run during a Run", e.RunUnchecked(ctx, spec)),
			refused("a Prepare during a Run", prepared),
			refused("a Load during a Run", loaded),
		)
		_, err := e.Stop(ctx, sdk.StopAbort)
		return err
	})
	return errors.Join(err, answers)
}

// interrupt starts a Run without an end and calls act once, with the id of its
// work, when a heartbeat shows that requests are in the engine. What act does
// has to end the Run.
func (e *engine) interrupt(ctx context.Context, act func(id string) error) error {
	loop, err := e.anyLoop(sdk.LoopBatch, sdk.LoopClosed)
	if err != nil {
		return err
	}
	spec := e.spec(loop)
	spec.HeartbeatMs = 50
	done := false
	_, err = e.sustain(ctx, spec, func(event sdk.RunEvent) error {
		if beat, ok := event.(sdk.Heartbeat); ok && beat.Sent > 0 && !done {
			done = true
			return act(e.works[manyRequests])
		}
		return nil
	}, func() bool { return done })
	return err
}

func counters(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	before, err := e.Counters(ctx)
	switch {
	case errors.Is(err, sdk.UnsupportedFeature), err == nil && before == nil:
		return skip("the backend reports no counters")
	case err != nil:
		return err
	}
	loop, err := e.anyLoop(sdk.LoopBatch, sdk.LoopClosed)
	if err != nil {
		return err
	}
	finished, err := e.drive(ctx, e.spec(loop), 2*int(e.perPass()), ignore)
	if err != nil {
		return err
	}
	after, err := e.Counters(ctx)
	if err != nil {
		return err
	}
	readings := []*sdk.Counters{before, finished.Before, finished.After, after}
	for i, later := range readings {
		if later == nil {
			return fmt.Errorf("reading %d of %d has no counters, and others have", i+1, len(readings))
		}
		if i > 0 {
			if err := fallen(*readings[i-1], *later); err != nil {
				return err
			}
		}
	}
	return nil
}

// fallen compares two readings of counters since Load.
func fallen(earlier, later sdk.Counters) error {
	if later.MonoNs < earlier.MonoNs {
		return errors.New("the stamp of the counters fell")
	}
	for _, c := range []struct {
		name           string
		earlier, later *int64
	}{
		{"engine steps", earlier.EngineSteps, later.EngineSteps},
		{"prompt tokens", earlier.PromptTokens, later.PromptTokens},
		{"output tokens", earlier.OutputTokens, later.OutputTokens},
		{"cached prompt tokens", earlier.CachedPromptTokens, later.CachedPromptTokens},
		{"preemptions", earlier.Preemptions, later.Preemptions},
		{"padding tokens", earlier.PaddingTokens, later.PaddingTokens},
		{"scheduled tokens", earlier.ScheduledTokens, later.ScheduledTokens},
		{"recompiles", earlier.Recompiles, later.Recompiles},
		{"accepted speculative tokens", earlier.SpecAccepted, later.SpecAccepted},
	} {
		switch {
		case (c.earlier == nil) != (c.later == nil):
			return fmt.Errorf("the counter of %s is known in one reading and not in another", c.name)
		case c.earlier != nil && *c.later < *c.earlier:
			return fmt.Errorf("the counter of %s fell from %d to %d", c.name, *c.earlier, *c.later)
		}
	}
	return nil
}
