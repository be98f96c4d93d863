package measure

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// The test binary is also the plugins, TEST_ROLE saying which.
func TestMain(m *testing.M) {
	switch os.Getenv("TEST_ROLE") {
	case "backend":
		serve.Backend(&engine{})
		return
	case "meter":
		serve.EnergySource(&meter{fault: func() string {
			// Without the file there is no fault.
			text, _ := os.ReadFile(os.Getenv("TEST_FAULT"))
			return string(text)
		}})
		return
	case "exit":
		fmt.Fprintln(os.Stderr, "no module named torch")
		os.Exit(7)
	}
	// For the plugin replay, of which tests want all samples at once.
	if err := os.Setenv("LLEM_REPLAY_ALIGNED", "1"); err != nil {
		panic(err)
	}
	flag.Parse()
	// The tests sleep nearly all the time.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// rig is a study with its processes: change it, then run it once.
type rig struct {
	t       *testing.T
	options Options
	study   *study.Study
	checks  []sdk.CellCheck
	// meter of the source "inside"; "process" is one in a process of its own.
	meter *meter
	// counter is a second reading of the same device, the source "counter".
	counter *meter
	monitor Monitor
	notes   []energy.Warning
	role    string // of the backend
	mark    string
	fault   string // file that names the fault of the process source, if it exists

	began    atomic.Int64 // stamp at which the newest measured Run was asked for
	onPhase  func(Progress)
	mu       sync.Mutex
	pids     []int
	finished []result.Trial
}

// newRig makes a study of cells "a", "b", ... by their faults, in one block.
// Windows last half a second, so that most of them are not ranked.
func newRig(t *testing.T, faults ...string) *rig {
	t.Helper()
	t.Parallel()
	dir, err := result.Create(t.TempDir(), "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, meter: &meter{}, role: "backend", mark: t.TempDir(), study: &study.Study{Name: "test", Energy: []string{"inside"}}}
	r.fault = filepath.Join(r.mark, "fault")
	block := plan.Block{}
	for i, fault := range faults {
		c := study.Cell{
			ID: string(rune('a' + i)), Label: "fault=" + fault, Instance: "test", Plugin: "test", Parameters: map[string]any{},
			Workload: study.Workload{Dataset: "synthetic", Requests: 4, InputTokens: 8, OutputTokens: 4, Seed: 42, Lengths: "exact"},
			Load:     study.LoadSpec{Mode: "batch"},
			Protocol: study.Protocol{Warmup: "fast", ConditioningS: 0.25, WindowS: 0.5},
		}
		if fault != "" {
			c.Parameters["fault"] = fault
		}
		r.options.Cells = append(r.options.Cells, c)
		block.Order = append(block.Order, c.ID)
	}
	r.options.Dir = dir
	r.options.Plan = plan.Plan{WindowsPerLoad: 1, Blocks: []plan.Block{block}}
	r.options.Stall = time.Minute
	r.options.waits = waits{unload: 5 * time.Second, watermark: 5 * time.Second, heartbeat: 100 * time.Millisecond, idle: 60 * time.Millisecond}
	return r
}

// each changes every cell.
func (r *rig) each(change func(*study.Cell)) *rig {
	for i := range r.options.Cells {
		change(&r.options.Cells[i])
	}
	return r
}

// ranked makes the windows long enough to count.
func (r *rig) ranked() *rig {
	return r.each(func(c *study.Cell) { c.Protocol.WindowS = 2.05 })
}

// run runs the study, checks what holds for every one, and returns its trials
// as they are on disk.
func (r *rig) run(ctx context.Context) (out Outcome, ok, failed []result.Trial, err error) {
	r.t.Helper()
	o := r.options
	o.Study, o.Opener, o.CoreVersion = r.study, r, "1.2.3"
	o.Checks = r.checks
	if o.Checks == nil {
		o.Checks = make([]sdk.CellCheck, len(o.Cells))
	}
	o.Progress = func(p Progress) {
		if p.Phase == PhaseMeasure {
			r.began.Store(sdk.MonoNow())
		}
		if p.Finished != nil {
			r.finished = append(r.finished, *p.Finished)
		}
		if r.onPhase != nil {
			r.onPhase(p)
		}
	}
	out, err = Run(ctx, o)
	planned := 0
	for _, b := range o.Plan.Blocks {
		planned += len(b.Order)
	}
	if out.Done+out.Failed+out.Interrupted+out.NotRun != planned {
		r.t.Errorf("%+v does not add up to %d", out, planned)
	}
	for _, pid := range survivors(r.mark) {
		r.t.Errorf("process %d survived", pid)
	}
	ok, failed, problems := result.ReadTrials(o.Dir.Path())
	for _, p := range problems {
		r.t.Logf("problem: %v", p)
	}
	if len(ok) != out.Done {
		r.t.Errorf("%d trials in runs/, %d done", len(ok), out.Done)
	}
	if err == nil && len(failed) != out.Failed {
		r.t.Errorf("%d failed trials on disk, %d counted", len(failed), out.Failed)
	}
	return out, ok, failed, err
}

// one runs a study whose only trial must be whole.
func (r *rig) one() result.Trial {
	r.t.Helper()
	_, ok, failed, err := r.run(r.t.Context())
	for _, f := range failed {
		r.t.Errorf("%s failed: %+v", f.Cell.Label, f.Failure)
	}
	if err != nil || len(ok) != 1 {
		r.t.Fatalf("%d trials, %v", len(ok), err)
	}
	return ok[0]
}

// Backend starts a fresh process.
func (r *rig) Backend(ctx context.Context, _ study.Cell, log io.Writer) (*host.Plugin, result.Plugin, error) {
	p, err := r.start(ctx, r.role, log)
	if err == nil {
		r.mu.Lock()
		r.pids = append(r.pids, p.PID())
		r.mu.Unlock()
	}
	return p, result.Plugin{Name: "test"}, err
}

func (r *rig) start(ctx context.Context, role string, log io.Writer) (*host.Plugin, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return host.Start(ctx, host.Command{Path: path, Env: []string{"TEST_ROLE=" + role, "TEST_MARK=" + r.mark, "TEST_FAULT=" + r.fault}}, host.Options{LogWriter: log})
}

// Source opens "inside", in this process, or "process".
func (r *rig) Source(ctx context.Context, name string) (Source, error) {
	switch name {
	case "inside":
		return Source{Name: name, Sensor: r.meter, Monitor: r.monitor, Notes: func(sinceNs int64) []energy.Warning {
			if sinceNs > 0 {
				return nil
			}
			return r.notes
		}}, nil
	case "counter":
		return Source{Name: name, Sensor: r.counter}, nil
	case "process":
		p, err := r.start(ctx, "meter", nil)
		if err != nil {
			return Source{}, err
		}
		return Source{Name: name, Sensor: p, Kill: p.Kill}, nil
	}
	return Source{}, ErrNotInstalled
}

// survivors lists the processes that a rig started and that still run.
func survivors(mark string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		// A process may be gone by now.
		text, _ := os.ReadFile(file)
		if bytes.Contains(text, []byte("TEST_MARK="+mark+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// codes lists the warnings of a trial and its windows: "code/severity".
func codes(t result.Trial) string {
	var all []string
	add := func(list []energy.Warning) {
		for _, w := range list {
			all = append(all, w.Code+"/"+string(w.Severity))
		}
	}
	add(t.Warnings)
	for _, w := range t.Windows {
		add(w.Warnings)
	}
	return strings.Join(all, " ")
}

func wantCode(t *testing.T, trial result.Trial, want string) {
	t.Helper()
	if !strings.Contains(" "+codes(trial)+" ", " "+want+" ") {
		t.Errorf("trial %s has warnings %q, want %s", trial.Cell.Label, codes(trial), want)
	}
}

// wantExcluded checks that a fatal finding keeps a trial out of estimates.
func wantExcluded(t *testing.T, trial result.Trial, code string) {
	t.Helper()
	wantCode(t, trial, code+"/fatal")
	if trial.Ranked {
		t.Errorf("%s: a trial with %s is ranked", trial.Cell.Label, code)
	}
	s := report.Summarize([]result.Trial{trial}, nil, report.Options{})
	if len(s.Excluded) != 1 || len(s.Cells) != 1 || len(s.Cells[0].Estimates) != 0 {
		t.Errorf("%s: the summary excludes %d trials and has %+v", trial.Cell.Label, len(s.Excluded), s.Cells)
	}
}

// near checks a value within a relative tolerance.
func near(t *testing.T, what string, got, want, rel float64) {
	t.Helper()
	if diff := got/want - 1; !(diff < rel && diff > -rel) {
		t.Errorf("%s is %.6g, want %.6g (%+.3f %%)", what, got, want, 100*diff)
	}
}
