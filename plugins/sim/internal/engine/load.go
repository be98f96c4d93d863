package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/llenergymeasure/llem/plugins/sim/internal/bus"
	"github.com/llenergymeasure/llem/plugins/sim/internal/defaults"
	"github.com/llenergymeasure/llem/plugins/sim/internal/fault"
	"github.com/llenergymeasure/llem/sdk"
)

// Engine is the simulated backend. Its zero value is ready for Load.
type Engine struct {
	timing    timing
	batchSize int
	busyW     float64
	prefillW  float64     // besides, of a step with prompts
	bus       *bus.Writer // nil: no source sees the load
	fault     *fault.Fault
	faultRun  int64
	runs      int64
	children  *children
	counts    counts
}

// Load implements sdk.Backend.
func (e *Engine) Load(ctx context.Context, req sdk.LoadRequest, progress *sdk.Progress) (sdk.LoadReport, error) {
	beganNs := sdk.MonoNow()
	resolved := defaults.Fill(parameters(), req.Cell.Parameters)
	e.timing = newTiming(resolved)
	e.batchSize = int(resolved.Int("batch_size", 1))
	e.busyW, e.prefillW = resolved.Float("busy_w", 0), resolved.Float("prefill_w", 0)
	e.fault, e.faultRun = fault.New(resolved), resolved.Int("fault_run", 1)
	if path := resolved.String("bus", ""); path != "" {
		var err error
		if e.bus, err = bus.NewWriter(path); err != nil {
			return sdk.LoadReport{}, err
		}
	}
	if resolved.Bool("children", false) {
		var err error
		if e.children, err = startChildren(); err != nil {
			return sdk.LoadReport{}, err
		}
	}
	end := progress.Begin(sdk.StageWeights, "simulated")
	if err := e.spend(ctx, beganNs, int64(resolved.Float("load_ms", 0)*1e6), progress); err != nil {
		return sdk.LoadReport{}, err
	}
	end()
	size := uint32(vocab)
	return sdk.LoadReport{
		Engine: "sim", EngineVersion: Version, Resolved: resolved,
		Model: sdk.ModelIdentity{
			Revision: req.Cell.Model.Revision, Base: req.Cell.Model.ID, Vocab: &size, WeightType: "none", RandomWeights: true,
		},
		Devices: devices(int(resolved.Int("gpus", 0))),
		Edge:    sdk.EdgeQuiesced, MaxCancelMs: e.Describe().Abilities.MaxCancelMs,
	}, nil
}

// loadPollNs is how often a load reports its progress.
const loadPollNs = int64(20e6)

// spend lets the load's time pass, with its faults. A fault that is to happen
// after the load's time lengthens it.
func (e *Engine) spend(ctx context.Context, beganNs, durationNs int64, progress *sdk.Progress) error {
	switch e.fault.Kind {
	case oom, exitInLoad, wedgeInLoad, freezeInLoad:
		durationNs = max(durationNs, e.fault.AfterNs)
	}
	untilNs := beganNs + durationNs
	for {
		if err := e.disturbLoad(beganNs); err != nil {
			return err
		}
		nowNs := sdk.MonoNow()
		if nowNs >= untilNs {
			return nil
		}
		progress.Report(sdk.StageWeights, float64(nowNs-beganNs)/float64(durationNs), "")
		if !waitUntil(ctx, min(untilNs, nowNs+loadPollNs)) {
			return &sdk.Error{Code: sdk.Cancelled, Phase: "load", Message: "the load was cancelled"}
		}
	}
}

func devices(gpus int) []sdk.DeviceUse {
	if gpus == 0 {
		return []sdk.DeviceUse{{ID: "cpu", Kind: "cpu", PID: pid()}}
	}
	var all []sdk.DeviceUse
	for rank := range gpus {
		all = append(all, sdk.DeviceUse{ID: fmt.Sprintf("sim-gpu-%d", rank), Kind: "gpu", Rank: uint32(rank), PID: pid()})
	}
	return all
}

// Run implements sdk.Backend.
func (e *Engine) Run(ctx context.Context, run *sdk.Run) error {
	e.runs++
	var err error
	movedNs := e.counts.movedSoFar()
	defer func() {
		if movedNs = e.counts.movedSoFar() - movedNs; movedNs > 0 {
			run.Warn(sdk.Warning{Code: "schedule_moved", Message: fmt.Sprintf(
				"this machine stalled, and the simulated load waited %.3f s in all for it: speed and J/token of the Run are not those of the parameters", float64(movedNs)/1e9)})
		}
	}()
	if run.Spec().Loop == sdk.LoopBatch {
		err = e.passes(ctx, run)
	} else {
		err = e.continuous(ctx, run)
	}
	if errors.Is(err, errEarlyClose) {
		return nil
	}
	return err
}

// Tokenize implements sdk.Tokenizer: one id for each byte.
func (e *Engine) Tokenize(_ context.Context, texts []string) ([][]uint32, error) {
	all := make([][]uint32, len(texts))
	for i, text := range texts {
		all[i] = make([]uint32, len(text))
		for j := range len(text) {
			all[i][j] = uint32(text[j])
		}
	}
	return all, nil
}

// Unload implements sdk.Backend.
func (e *Engine) Unload(context.Context) error {
	if e.fault != nil && e.fault.Due(hangUnload, 0) {
		time.Sleep(forever)
	}
	var failed error
	if e.children != nil {
		failed = e.children.stop()
	}
	if e.bus != nil {
		failed = errors.Join(failed, e.bus.Close())
	}
	e.bus, e.children = nil, nil
	return failed
}
