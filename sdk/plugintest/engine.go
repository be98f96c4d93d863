package plugintest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// engine is a loaded backend and what is known of it.
type engine struct {
	*host.Plugin
	cell     sdk.Cell
	verdict  sdk.CellCheck
	report   sdk.LoadReport
	stages   []sdk.StageEvent
	asked    int64 // when Load was called, and when it had answered
	answered int64
	works    map[int]string // ids of prepared works, by their number of requests
}

// wanted is the cell of the options, or the default one.
func (s *suite) wanted() sdk.Cell {
	if s.options.Cell != nil {
		return *s.options.Cell
	}
	return sdk.Cell{
		ID: "conformance", Parameters: sdk.Table{},
		Model: sdk.Model{ID: "llem/random-tiny", Weights: sdk.WeightsDummy},
		Workload: sdk.Workload{
			RequestsPerPass: 4, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true,
			Sampling: sdk.Sampling{Seed: 1},
		},
		Load:     sdk.LoadShape{Loop: sdk.LoopBatch},
		Protocol: sdk.ProtocolShape{WindowNs: int64(time.Second)},
	}
}

// candidates are the cells to try, the first that is taken. A backend that cannot
// do whole passes is driven one by one.
func (s *suite) candidates() []sdk.Cell {
	cell := s.wanted()
	loops := []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed}
	if s.options.Cell != nil {
		loops = []sdk.Loop{cell.Load.Loop}
	}
	cells := make([]sdk.Cell, len(loops))
	for i, loop := range loops {
		cells[i] = cell
		cells[i].Load.Loop = loop
		if loop == sdk.LoopClosed && cell.Load.Concurrency == 0 {
			cells[i].Load.Concurrency = 2
		}
	}
	return cells
}

// wanting names a parameter that the backend requires and the cell has not, or is "".
func (s *suite) wanting(p *host.Plugin) string {
	cell := s.wanted()
	for _, parameter := range p.Description().BackendSchema {
		_, given := cell.Parameters[parameter.Key]
		_, secret := s.options.Secrets[parameter.Key]
		if parameter.Required && !given && !secret {
			return fmt.Sprintf("the backend requires the parameter %q; name a cell or secret that has it", parameter.Key)
		}
	}
	return ""
}

// settle finds a cell that the plugin accepts, and its verdict on it.
func (s *suite) settle(ctx context.Context, p *host.Plugin) error {
	if s.cell != nil {
		return nil
	}
	if why := s.wanting(p); why != "" {
		return skip("%s", why)
	}
	var why []string
	for _, cell := range s.candidates() {
		o, err := opinionOf(ctx, p, cell)
		if err != nil {
			return skip("the backend did not judge the cell: %v", err)
		}
		if !o.verdict.Refused() {
			s.cell, s.verdict = &cell, o.verdict
			return nil
		}
		if s.options.Cell == nil && len(o.refused) == 0 {
			return lacking("%s", strings.Join(o.lacking, "; "))
		}
		why = append(why, append(o.refused, o.lacking...)...)
	}
	if s.options.Cell != nil {
		return fmt.Errorf("the backend refuses the cell that it is to be driven with: %s", strings.Join(why, "; "))
	}
	return skip("the backend refuses the default cell, name one that it takes: %s", strings.Join(why, "; "))
}

// isAbsent tells whether an error says that this machine lacks something, which is
// no fault of the plugin.
func isAbsent(err error) bool {
	for _, code := range []sdk.Code{sdk.EngineMissing, sdk.DeviceMissing, sdk.Permission} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// load starts a process and loads it. Where no engine can be had, every later
// rule that needs one is told so.
func (s *suite) load(ctx context.Context) (*engine, error) {
	if s.notReady != nil {
		return nil, s.notReady
	}
	p, err := s.started(ctx, sdk.KindBackend)
	if err != nil {
		return nil, err
	}
	e, err := s.loadOn(ctx, p)
	if err == nil {
		return e, nil
	}
	p.Kill()
	var reason notTried
	if errors.As(err, &reason) {
		s.notReady = reason
		return nil, err
	}
	s.notReady = skip("no engine can be loaded")
	return nil, err
}

func (s *suite) loadOn(ctx context.Context, p *host.Plugin) (*engine, error) {
	if err := s.settle(ctx, p); err != nil {
		return nil, err
	}
	workDir, cacheDir, err := s.dirs()
	if err != nil {
		return nil, err
	}
	e := &engine{Plugin: p, cell: *s.cell, verdict: s.verdict, works: map[int]string{}}
	loadCtx, cancel := context.WithTimeout(ctx, s.loadTimeout())
	defer cancel()
	e.asked = sdk.MonoNow()
	e.report, err = p.Load(loadCtx, s.request(workDir, cacheDir), func(stage sdk.StageEvent) { e.stages = append(e.stages, stage) })
	e.answered = sdk.MonoNow()
	switch {
	case isAbsent(err):
		return nil, lacking("%v", err)
	case s.options.Cell == nil && errors.Is(err, sdk.ModelMissing):
		return nil, skip("%v", err)
	}
	return e, err
}

func (s *suite) request(workDir, cacheDir string) sdk.LoadRequest {
	return sdk.LoadRequest{Cell: *s.cell, WorkDir: workDir, CacheDir: cacheDir, Secrets: s.options.Secrets}
}

// loaded returns the shared engine, loading one if there is none.
func (s *suite) loaded(ctx context.Context) (*engine, error) {
	if s.engine == nil {
		e, err := s.load(ctx)
		if err != nil {
			return nil, err
		}
		s.engine = e
	}
	return s.engine, nil
}

// maxCancel is the time within which the engine says it is quiet.
func (e *engine) maxCancel() time.Duration {
	ms := e.report.MaxCancelMs
	if ms == 0 {
		ms = e.verdict.MaxCancelMs
	}
	if ms == 0 {
		ms = 5000 // the contract's
	}
	return time.Duration(ms) * time.Millisecond
}
