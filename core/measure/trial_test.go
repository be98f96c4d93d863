package measure

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

func TestABatchTrialAtConstantPower(t *testing.T) {
	r := newRig(t, "").ranked()
	r.each(func(c *study.Cell) { c.Protocol.Warmup, c.Protocol.IdleS = "full", 0.2 })
	got := r.one()
	w := got.Windows[0]
	duration := float64(w.DurationNs()) / 1e9
	near(t, "energy", *w.EnergyJ, 100*duration, 1e-6)
	near(t, "J/token", *w.EnergyPerOutputTokenJ, 100*duration/float64(w.OutputTokens), 1e-6)
	near(t, "tokens/s", w.OutputTokensPerS, float64(w.OutputTokens)/duration, 1e-9)
	near(t, "idle power", got.IdlePowerW["inside/package-0"], 100, 1e-6)
	if w.Requests != int64(4*w.Passes) || w.OutputTokens != 4*w.Requests || w.PromptTokens != 8*w.Requests || duration < 2.05 {
		t.Errorf("the window is %+v", w)
	}
	if !got.Ranked || w.FromNs < got.Conditioning.ToNs || got.Conditioning.ToNs-got.Conditioning.FromNs < 250e6 || w.ToNs > got.Run.EndNs {
		t.Errorf("ranked %v, conditioned %+v, window %d to %d", got.Ranked, got.Conditioning, w.FromNs, w.ToNs)
	}
	if w.TTFT == nil || w.E2E == nil || w.E2E.N != int(w.Requests) || w.TPOT.P50Ns < 4e6 {
		t.Errorf("latencies %+v %+v %+v", w.TTFT, w.TPOT, w.E2E)
	}
	if got.Run.Reason != sdk.FinishStopped || got.WarmUp.Requests < 32 {
		t.Errorf("the Run ended with %s, the warm-up had %d requests", got.Run.Reason, got.WarmUp.Requests)
	}
}

func TestAClosedLoop(t *testing.T) {
	r := newRig(t, "").ranked()
	r.each(func(c *study.Cell) {
		c.Load = study.LoadSpec{Mode: "closed", Concurrency: 8}
		c.Workload.OutputTokens = 10
		c.Protocol.Warmup = "full"
	})
	got := r.one()
	w := got.Windows[0]
	// Eight tokens every 5 ms, whatever the load of this machine.
	near(t, "tokens/s", w.OutputTokensPerS, 1600, 1e-9)
	near(t, "J/token", *w.EnergyPerOutputTokenJ, 100.0/1600, 1e-6)
	if w.Requests%8 != 0 || w.OutputTokens != 10*w.Requests || !got.Ranked {
		t.Errorf("ranked %v, the window is %+v", got.Ranked, w)
	}
	// What was sent is named by the workload's passes, whatever is in flight.
	if diff := cmp.Diff(passHashes(requests(r.options.Cells[0].Workload, 512, 0, int(got.Run.Requests)), 4), got.Work.PassHashes); diff != "" {
		t.Errorf("passes (-sent +recorded):\n%s", diff)
	}
}

// A Run that sends no whole pass cannot be compared with another by what it
// sent, and says so.
func TestARunOfLessThanAPassSaysSo(t *testing.T) {
	r := newRig(t, "").each(func(c *study.Cell) {
		c.Load = study.LoadSpec{Mode: "closed", Concurrency: 2}
		c.Workload.Requests = 1_000_000
	})
	got := r.one()
	wantCode(t, got, "work_not_hashed/warning")
	if len(got.Work.PassHashes) != 0 {
		t.Errorf("%d hashes", len(got.Work.PassHashes))
	}
}

// Power that moves inside the window only is integrated, not sampled.
func TestPowerStepsInsideTheWindow(t *testing.T) {
	r := newRig(t, "").ranked()
	up := func(ns int64) bool {
		since := ns - r.began.Load()
		return r.began.Load() != 0 && since > 1200e6 && since < 1700e6
	}
	r.meter.powerW = func(ns int64) float64 {
		if up(ns) {
			return 300
		}
		return 100
	}
	got := r.one()
	w := got.Windows[0]
	if !up(r.began.Load()+1500e6) || w.FromNs > r.began.Load()+1100e6 || w.ToNs < r.began.Load()+1800e6 {
		t.Fatalf("the step lies outside the window")
	}
	want := 100*float64(w.DurationNs())/1e9 + 200*0.5
	// Each of two edges falls into one sample.
	near(t, "energy", *w.EnergyJ, want, 2*200*meterPeriod.Seconds()/want)
}

func TestWindowsOfOneLoad(t *testing.T) {
	r := newRig(t, "")
	r.options.Plan.WindowsPerLoad = 3
	got := r.one()
	if len(got.Windows) != 3 {
		t.Fatalf("%d windows", len(got.Windows))
	}
	for i, w := range got.Windows {
		near(t, "power", *w.MeanPowerW, 100, 1e-6)
		if w.DurationNs() < 500e6 || i > 0 && w.FromNs < got.Windows[i-1].ToNs || w.Index != i {
			t.Errorf("window %d is %d to %d", i, w.FromNs, w.ToNs)
		}
	}
}

// grouped: all cycles are windows of one load, and nothing of it is ranked.
func TestGroupedOrder(t *testing.T) {
	r := newRig(t, "", "")
	r.study.Protocol = study.Protocol{Order: plan.Grouped, Cycles: 2, Windows: 1}
	r.options.Plan = plan.Build(r.study, r.options.Cells)
	_, ok, _, err := r.run(t.Context())
	if err != nil || len(ok) != 2 || len(r.pids) != 2 {
		t.Fatalf("%d trials from %d processes, %v", len(ok), len(r.pids), err)
	}
	for _, trial := range ok {
		if !trial.Cell.Grouped || len(trial.Windows) != 2 {
			t.Errorf("trial %s: grouped %v, %d windows", trial.Cell.ID, trial.Cell.Grouped, len(trial.Windows))
		}
	}
}

// Every block runs every cell once, each in a fresh process, on work that all
// share and the warm-up did not see; the directory alone gives what Run gave.
func TestRandomisedBlocks(t *testing.T) {
	r := newRig(t, "", "", "")
	r.study.Protocol = study.Protocol{Order: plan.Randomised, Cycles: 2, Windows: 1}
	r.options.Plan = plan.Build(r.study, r.options.Cells)
	_, ok, _, err := r.run(t.Context())
	if err != nil || len(ok) != 6 {
		t.Fatalf("%d trials, %v", len(ok), err)
	}
	slices.Sort(r.pids)
	if len(slices.Compact(r.pids)) != 6 {
		t.Errorf("six trials used the processes %v", r.pids)
	}
	for b := range 2 {
		var order []string
		for _, trial := range ok[3*b : 3*b+3] {
			order = append(order, trial.Cell.ID)
			if trial.Block != b {
				t.Errorf("a trial of block %d stands in block %d", trial.Block, b)
			}
		}
		if diff := cmp.Diff(r.options.Plan.Blocks[b].Order, order); diff != "" {
			t.Errorf("block %d:\n%s", b, diff)
		}
	}
	for _, trial := range ok {
		same := min(len(ok[0].Work.PassHashes), len(trial.Work.PassHashes))
		if same < 10 || !slices.Equal(ok[0].Work.PassHashes[:same], trial.Work.PassHashes[:same]) || trial.Work.Hash != ok[0].Work.Hash {
			t.Errorf("cell %s, block %d ran other work", trial.Cell.ID, trial.Block)
		}
		checkWork(t, r, trial)
	}
	if diff := cmp.Diff(r.finished, ok, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(result.Trial{}, "Dir", "Files")); diff != "" {
		t.Errorf("the directory says otherwise than Run:\n%s", diff)
	}
	fromRun := report.Summarize(r.finished, nil, report.Options{})
	fromDir := report.Summarize(ok, nil, report.Options{})
	if diff := cmp.Diff(fromRun, fromDir, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(report.Cell{}, report.Warning{}), cmpopts.IgnoreFields(report.Excluded{}, "Dir")); diff != "" {
		t.Errorf("the report differs:\n%s", diff)
	}
}

// checkWork reads the stored work and requests of a trial.
func checkWork(t *testing.T, r *rig, trial result.Trial) {
	t.Helper()
	items, err := r.options.Dir.ReadWork(trial.Work.TokenHash)
	if err != nil || len(items) != trial.Work.Requests {
		t.Fatalf("%d requests stored, %v", len(items), err)
	}
	if diff := cmp.Diff(trial.Work.PassHashes, passHashes(items[:4*len(trial.Run.Passes)], 4)); diff != "" {
		t.Errorf("the stored work has other passes:\n%s", diff)
	}
	measured := map[[32]byte]bool{}
	for _, item := range items {
		measured[sdk.TokenHash([]sdk.WorkItem{item})] = true
	}
	if len(measured) != len(items) {
		t.Errorf("%d of %d prompts repeat", len(items)-len(measured), len(items))
	}
	for _, item := range requests(r.options.Cells[0].Workload, 512, warmUpStream, 200) {
		if measured[sdk.TokenHash([]sdk.WorkItem{item})] {
			t.Errorf("a prompt of the warm-up was measured")
		}
	}
	dir := filepath.Join(r.options.Dir.Path(), trial.Dir)
	done, err := result.ReadRequests(dir)
	if err != nil || int64(len(done)) != trial.Run.Requests {
		t.Errorf("%d requests recorded of %d, %v", len(done), trial.Run.Requests, err)
	}
	traces, err := result.ReadPower(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := trial.Windows[0]
	again, err := traces["inside/package-0"].Window(w.FromNs, w.ToNs)
	if err != nil || again.EnergyJ != *w.EnergyJ {
		t.Errorf("the stored samples give %v J, %v; the trial says %v", again.EnergyJ, err, *w.EnergyJ)
	}
}

// A load whose passes or power do not settle is measured all the same, at
// three times the conditioning, and says so.
func TestConditioningThatDoesNotSettle(t *testing.T) {
	for name, change := range map[string]func(*rig){
		"passes": func(r *rig) { r.options.Cells[0].Parameters["fault"] = "uneven" },
		"power": func(r *rig) {
			r.meter.powerW = func(ns int64) float64 { return 100 + 40*float64(max(0, ns-r.began.Load()))/1e9 }
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "")
			change(r)
			got := r.one()
			wantCode(t, got, "not_warm/warning")
			if c := got.Conditioning; c.Settled || c.ToNs-c.FromNs < 750e6 || got.Windows[0].FromNs < c.ToNs {
				t.Errorf("conditioned %+v, window from %d", c, got.Windows[0].FromNs)
			}
		})
	}
}

// What a backend says of a Run is stored with it, and of the measured one among
// the trial's warnings.
func TestAClientsHealthIsStored(t *testing.T) {
	_, trials, _, err := newRig(t, "late client").run(t.Context())
	if err != nil || len(trials) != 1 {
		t.Fatalf("%d trials, %v", len(trials), err)
	}
	trial := trials[0]
	for n, run := range []*result.Run{trial.WarmUp, trial.Run} {
		c, w := run.Client, run.Warnings
		if c == nil || c.LatenessP99Ns == nil || *c.LatenessP99Ns != int64(n+1)*1e6 || c.StampSource != sdk.StampKernel || c.DelayP99Ns != nil {
			t.Errorf("Run %d: the client's health is %+v", n+1, c)
		}
		if len(w) != 1 || w[0].Code != "client_limited" || w[0].Message != fmt.Sprintf("Run %d", n+1) {
			t.Errorf("Run %d: warnings are %+v", n+1, w)
		}
	}
	said := 0
	for _, w := range trial.Warnings {
		if w.Code == "client_limited" {
			said++
			if w.Message != "Run 2" || w.Severity != energy.SeverityWarning {
				t.Errorf("%+v", w)
			}
		}
	}
	if said != 1 {
		t.Errorf("client_limited is %d times among the trial's warnings", said)
	}
}
