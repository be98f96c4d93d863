package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Group is the workers of one load: one, or the ranks that compute one model
// together. Each rank has a socket of its own and gets every call; what the
// first one answers is the answer.
type Group struct {
	ranks   []*Process
	failure error // of ranks that were ended because one of them failed
}

// rankGrace is how long the others of a rank that failed have to say why, before
// they are killed: most of them wait for it in an exchange that never ends.
const rankGrace = 2 * time.Second

// StartGroup starts as many workers as there are to be ranks.
func StartGroup(c Command, size int) (*Group, error) {
	if size <= 1 {
		p, err := Start(c)
		if err != nil {
			return nil, err
		}
		return &Group{ranks: []*Process{p}}, nil
	}
	meeting, err := newRendezvous(size)
	if err != nil {
		return nil, err
	}
	defer meeting.close()
	g := &Group{}
	for rank := range size {
		p, err := Start(meeting.command(c, rank))
		if err != nil {
			return nil, errors.Join(err, g.Kill())
		}
		g.ranks = append(g.ranks, p)
	}
	return g, nil
}

// Size is the number of ranks.
func (g *Group) Size() int { return len(g.ranks) }

// First is the rank that answers for all.
func (g *Group) First() *Process { return g.ranks[0] }

// PIDs of the workers, by rank.
func (g *Group) PIDs() []int {
	pids := make([]int, len(g.ranks))
	for rank, p := range g.ranks {
		pids[rank] = p.PID()
	}
	return pids
}

// Call makes one call of every rank, as [Process.Call] does of one. What rank i
// answers is decoded into answers[i], if there is one; events and raw data are
// those of the first. A rank that fails ends all of them: what the others have
// computed together without it is not known.
func (g *Group) Call(ctx context.Context, name string, arguments any, data []byte, patience time.Duration, answers []any, onEvent func(Event)) ([]byte, error) {
	if g.failure != nil {
		return nil, g.failure
	}
	if len(g.ranks) == 1 {
		return g.ranks[0].Call(ctx, name, arguments, data, patience, answers[0], onEvent)
	}
	outcomes := make(chan outcome, len(g.ranks))
	for rank, p := range g.ranks {
		var answer any = new(struct{})
		if rank < len(answers) {
			answer = answers[rank]
		}
		tell := onEvent
		if rank > 0 {
			tell = nil
		}
		go func() {
			data, err := p.Call(ctx, name, arguments, data, patience, answer, tell)
			outcomes <- outcome{rank, data, err}
		}()
	}
	out, err := g.gather(outcomes)
	if err != nil {
		g.failure = errors.Join(err, g.Kill())
	}
	return out, g.failure
}

// outcome is how a call of one rank ended.
type outcome struct {
	rank int
	data []byte
	err  error
}

// gather waits for all ranks. Of several errors the one that explains the others
// is returned: of a rank that ended by itself, else the first one; where all
// ranks say the same, rank 0 says it.
func (g *Group) gather(outcomes <-chan outcome) (out []byte, failure error) {
	var over <-chan time.Time
	killed := false
	for left := len(g.ranks); left > 0; {
		select {
		case o := <-outcomes:
			left--
			if o.rank == 0 {
				out = o.data
			}
			if o.err == nil || killed {
				continue
			}
			if failure == nil || explains(o, failure) {
				failure = g.ofRank(o.rank, o.err)
			}
			if over == nil {
				over = time.After(rankGrace)
			}
		case <-over:
			killed = true
			for _, p := range g.ranks {
				_ = p.command.Process.Kill() // the calls' reads then end
			}
		}
	}
	return out, failure
}

// explains tells whether a later error is the better one to report.
func explains(o outcome, earlier error) bool {
	var first, second *sdk.Error
	if !errors.As(earlier, &first) || !errors.As(o.err, &second) {
		return false
	}
	return second.Code == sdk.EngineCrashed && first.Code != sdk.EngineCrashed || o.rank == 0 && second.Code == first.Code && second.Code != sdk.EngineCrashed
}

// ofRank names the rank in an error. A crash names its worker already.
func (g *Group) ofRank(rank int, err error) error {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("rank %d of %d: %w", rank, len(g.ranks), err)
	}
	if e.Code != sdk.EngineCrashed && rank > 0 {
		e.Message = fmt.Sprintf("rank %d of %d: %s", rank, len(g.ranks), e.Message)
	}
	return e
}

// Stop asks all workers to end and kills them when ctx ends.
func (g *Group) Stop(ctx context.Context) error {
	return g.each(func(p *Process) error { return p.Stop(ctx) })
}

// Kill ends all workers at once and returns when they are gone.
func (g *Group) Kill() error {
	return g.each((*Process).Kill)
}

func (g *Group) each(do func(*Process) error) error {
	errs := make(chan error, len(g.ranks))
	for _, p := range g.ranks {
		go func() { errs <- do(p) }()
	}
	var all error
	for range g.ranks {
		all = errors.Join(all, <-errs)
	}
	return all
}
