package measure

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Opener starts processes. The registry's adapter satisfies it.
type Opener interface {
	// Backend starts a fresh process of the cell's plugin; every stderr line
	// of it goes to log.
	Backend(ctx context.Context, cell study.Cell, log io.Writer) (*host.Plugin, result.Plugin, error)
	// Source starts an energy source by the name that the study uses, or
	// fails with ErrNotInstalled.
	Source(ctx context.Context, name string) (Source, error)
}

// Options of Run.
type Options struct {
	Study *study.Study
	Plan  plan.Plan
	Cells []study.Cell
	// Checks are the verdicts on Cells, in the same order.
	Checks []sdk.CellCheck
	Opener Opener
	Dir    *result.Dir
	// CacheDir for what plugins want to keep between loads.
	CacheDir string
	// Secrets by instance and parameter key, resolved.
	Secrets     map[string]map[string]string
	CoreVersion string
	// Stall bounds the time that a Run may go without any progress; 0 = two
	// minutes.
	Stall time.Duration
	// Progress is told what goes on, if set. It is not called inside windows.
	Progress func(Progress)

	waits waits
}

// waits are the bounds that nobody sets but tests, to be quick; zero = the
// usual ones.
type waits struct {
	unload    time.Duration // of an engine, before it is killed
	watermark time.Duration // for the sensors to deliver what lies behind a stamp
	heartbeat time.Duration // period of a Run's heartbeats
	reading   time.Duration // period of looks at the devices in a Run
	look      time.Duration // for a monitor to tell the state of its devices
	idle      time.Duration // of looks at the devices before a load
	drain     time.Duration // of an open loop, before it is broken off
	// of a watermark without progress, before its source counts as stuck
	standstill time.Duration
}

// withDefaults fills in the usual bounds.
func (w waits) withDefaults() waits {
	if w.unload == 0 {
		w.unload = 30 * time.Second
	}
	if w.watermark == 0 {
		w.watermark = 15 * time.Second
	}
	if w.drain == 0 {
		w.drain = mostDrain
	}
	if w.heartbeat == 0 {
		w.heartbeat = time.Second
	}
	if w.look == 0 {
		w.look = lookLimit
	}
	if w.idle == 0 {
		w.idle = idleWait
	}
	if w.reading == 0 {
		w.reading = readPeriod
	}
	if w.standstill == 0 {
		w.standstill = standstillLimit
	}
	return w
}

// Phase of a trial.
type Phase string

// The phases.
const (
	PhaseSources  Phase = "open energy sources"
	PhaseLoad     Phase = "load"
	PhaseIdle     Phase = "idle"
	PhaseWarmUp   Phase = "warm up"
	PhasePrepare  Phase = "prepare"
	PhaseCooldown Phase = "cool down"
	PhaseMeasure  Phase = "measure"
	PhaseCompute  Phase = "compute"
	PhaseUnload   Phase = "unload"
	PhaseDone     Phase = "done"
)

// Progress is what is going on.
type Progress struct {
	// Trial counts from 1 to Trials.
	Trial, Trials int
	Block         int
	Label         string
	Phase         Phase
	Fraction      float64
	Detail        string
	// Finished is the trial's record, with PhaseDone.
	Finished *result.Trial
}

// Outcome counts what happened to the plan's trials: the four numbers add up
// to the plan's.
type Outcome struct {
	Done int
	// Failed are those that ended without a result, or with one that could not be
	// stored.
	Failed int
	// Interrupted is the one that an interrupt ended: it says nothing of its cell.
	Interrupted int
	// NotRun were left out because the study was interrupted or gave up.
	NotRun int
	// GaveUp says why the rest was not run, or is empty.
	GaveUp string
}

// defaultStall is how long a Run may go without progress.
const defaultStall = 2 * time.Minute

// session is what all trials of one Run call share.
type session struct {
	Options
	cells   map[string]int // by cell id, into Options.Cells
	usesGPU bool
	windows int // in each load
	trials  int // in the plan
	host    string
	// unloadedNs is when the trial before had ended; 0 for the first one.
	unloadedNs int64
}

// Run measures every trial of the plan. One failed trial does not stop the
// study. The error is about the study as a whole: no energy source, a directory
// that cannot be written, ctx ended.
func Run(ctx context.Context, o Options) (Outcome, error) {
	hostName, err := os.Hostname()
	if err != nil {
		return Outcome{}, fmt.Errorf("ask for the host's name: %w", err)
	}
	if o.Stall == 0 {
		o.Stall = defaultStall
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	o.waits = o.waits.withDefaults()
	s := &session{Options: o, cells: map[string]int{}, windows: o.Plan.WindowsPerLoad, host: hostName}
	for i, c := range o.Cells {
		s.cells[c.ID] = i
		s.usesGPU = s.usesGPU || needsGPU(o.Checks[i])
	}
	for _, b := range o.Plan.Blocks {
		s.trials += len(b.Order)
	}
	out := Outcome{NotRun: s.trials}
	for _, b := range o.Plan.Blocks {
		for _, id := range b.Order {
			if _, ok := s.cells[id]; !ok {
				return out, fmt.Errorf("block %d of the plan names cell %s, which the study does not have; make the plan again", b.Index, id)
			}
		}
	}
	for _, b := range o.Plan.Blocks {
		if err := s.block(ctx, b, &out); err != nil {
			return out, err
		}
		if out.GaveUp != "" {
			break
		}
	}
	return out, nil
}

func needsGPU(check sdk.CellCheck) bool {
	for _, need := range check.Devices {
		if need.Kind == "gpu" && need.Max > 0 {
			return true
		}
	}
	return false
}
