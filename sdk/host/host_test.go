package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// The test binary is also the plugin under test, TEST_MODE saying how it
// misbehaves, and the host that dies under a plugin.
func TestMain(m *testing.M) {
	mode := os.Getenv("TEST_MODE")
	switch {
	case os.Getenv("TEST_HOST") != "" && !transport.Started():
		dyingHost()
	case !transport.Started():
		os.Exit(m.Run())
	case rawModes[mode]:
		serveRaw(mode)
	}
	switch mode {
	case "garbage":
		fmt.Println("Welcome to CUDA")
		time.Sleep(time.Minute)
	case "exit":
		fmt.Fprintln(os.Stderr, "no module named torch")
		os.Exit(7)
	case "signal":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hang":
		time.Sleep(time.Minute)
	case "other-major":
		fmt.Println("1|9|unix|/nowhere|grpc")
		time.Sleep(time.Minute)
	case "full":
		serve.Backend(&fullEngine{})
	case "source":
		serve.EnergySource(&sensor{})
	case "both":
		serve.Both(&engine{}, &sensor{})
	default:
		serve.Backend(&engine{mode: mode})
	}
}

// engine is a backend whose tokens take a millisecond each.
type engine struct {
	mode    string
	loadCtx context.Context // what Load was given, to see how long it lives
}

func (e *engine) Describe() sdk.Description {
	switch e.mode {
	case "mute":
		time.Sleep(time.Minute)
	case "describe-panic":
		panic("boom in Describe")
	case "describe-exit":
		fmt.Fprintln(os.Stderr, "libcuda is missing")
		os.Exit(3)
	}
	return sdk.Description{
		Name: "test", Version: "1.2.3", Doc: "A test.",
		Parameters: []sdk.Parameter{sdk.Int("big").Or(int64(1)<<53 + 1), sdk.Text("kind").OneOf("a", "b")},
		Abilities:  sdk.Abilities{Loops: []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed}, MaxCancelMs: 500},
	}
}

func (e *engine) Load(ctx context.Context, req sdk.LoadRequest, progress *sdk.Progress) (sdk.LoadReport, error) {
	defer progress.Begin(sdk.StageWeights, "reading")()
	e.loadCtx = ctx
	serve.Logger().Warn("loading", "parameter", "big")
	switch e.mode {
	case "load-error":
		return sdk.LoadReport{}, &sdk.Error{
			Code: sdk.OutOfMemory, KeyPath: "big", Message: "no room", Numbers: map[string]int64{"wanted_bytes": 1 << 40}, Advice: "make it smaller",
		}
	case "load-wedge":
		<-ctx.Done()
		return sdk.LoadReport{}, ctx.Err()
	case "load-stop":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(time.Minute) // the stop may take a moment
	case "load-panic":
		panic("boom in Load")
	case "chatty":
		for i := range 1000 {
			progress.Report(sdk.StageWeights, float64(i)/1000, "reading")
		}
	case "children":
		cmd := exec.Command("sh", "-c", "sleep 301 & setsid sleep 302 & exec sleep 300")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return sdk.LoadReport{}, err
		}
	case "print":
		for range 100 {
			syscall.Write(1, []byte(strings.Repeat("x", 4000)))
		}
	}
	vocab := uint32(512)
	return sdk.LoadReport{
		Engine: "test", Resolved: sdk.Table{"big": req.Cell.Parameters.Int("big", 0)},
		Model: sdk.ModelIdentity{Vocab: &vocab, RandomWeights: true},
	}, nil
}

func (e *engine) Run(ctx context.Context, run *sdk.Run) error {
	switch e.mode {
	case "panic":
		panic("boom in Run")
	case "die":
		fmt.Fprintln(os.Stderr, "CUDA error: device-side assert")
		os.Exit(9)
	case "stop":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(time.Minute) // the stop may take a moment
	case "forget":
		run.Next(ctx)
		return nil
	case "load-ctx":
		if e.loadCtx.Err() != nil {
			return errors.New("the load's context ended with the load")
		}
	case "busy":
		// Ends some time after its cancel.
		<-ctx.Done()
		time.Sleep(300 * time.Millisecond)
		return ctx.Err()
	}
	if run.Spec().Loop == sdk.LoopClosed {
		for request := range run.Requests(ctx) {
			e.generate(ctx, run, request.Index, request.Item, 0)
		}
		return nil
	}
	for pass := range run.Passes(ctx) {
		for i, item := range pass.Items {
			e.generate(ctx, run, pass.First+uint32(i), item, i)
		}
	}
	return nil
}

func (e *engine) generate(ctx context.Context, run *sdk.Run, index uint32, item sdk.WorkItem, place int) {
	c := sdk.Completion{Request: index, SentNs: sdk.MonoNow(), PromptTokens: uint32(len(item.TokenIDs)), FinishReason: "length"}
	for range item.MaxTokens {
		if e.mode == "fast" {
			c.LastNs = sdk.MonoNow()
			c.OutputTokens++
			c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: c.LastNs, Tokens: 1})
			if c.FirstNs == 0 {
				c.FirstNs = c.LastNs
			}
			continue
		}
		select {
		case <-ctx.Done():
			c.FinishReason = "aborted"
		case <-time.After(time.Millisecond):
			c.LastNs = sdk.MonoNow()
			c.OutputTokens++
			c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: c.LastNs, Tokens: 1})
			if c.FirstNs == 0 {
				c.FirstNs = c.LastNs
			}
		}
	}
	switch e.mode {
	case "early-stamp":
		c.SentNs -= int64(time.Hour)
	case "twice":
		if place == 1 {
			c.Request--
		}
	case "count":
		c.OutputTokens += 3
	case "short":
		c.OutputTokens--
		c.Chunks = c.Chunks[1:]
	case "foreign":
		c.Request += 1000
	case "dirty-text":
		c.Error = "bad byte \xff"
	}
	run.Complete(c)
}

func (e *engine) Unload(context.Context) error {
	if path := os.Getenv("TEST_MARK"); path != "" {
		return os.WriteFile(path, []byte("unloaded"), 0o600)
	}
	return nil
}

func start(t testing.TB, mode string, o Options) (*Plugin, error) {
	t.Helper()
	p, err := Start(context.Background(), self(t, mode), o)
	if p != nil {
		t.Cleanup(p.Kill)
	}
	return p, err
}

// self is the command that starts this binary as a plugin.
func self(t testing.TB, mode string) Command {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Command{Path: path, Env: []string{"TEST_MODE=" + mode}}
}

func mustStart(t testing.TB, mode string) *Plugin {
	t.Helper()
	p, err := start(t, mode, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var cell = sdk.Cell{
	ID: "c1", Parameters: sdk.Table{"big": int64(1)<<53 + 1}, Model: sdk.Model{ID: "m", Weights: sdk.WeightsDummy},
	Workload: sdk.Workload{RequestsPerPass: 2, MaxInputTokens: 3, MaxOutputTokens: 4, ExactLengths: true},
	Load:     sdk.LoadShape{Loop: sdk.LoopBatch},
}

func work(n int) *sdk.Work {
	w := &sdk.Work{ExactLengths: true}
	for i := range n {
		w.Items = append(w.Items, sdk.WorkItem{TokenIDs: []uint32{1, 2, uint32(i)}, MaxTokens: 4})
	}
	return w
}

// ready starts, loads and prepares.
func ready(t testing.TB, mode string, requests int) (*Plugin, sdk.RunSpec) {
	t.Helper()
	p := mustStart(t, mode)
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil); err != nil {
		t.Fatal(err)
	}
	prepared, err := p.Prepare(t.Context(), work(requests))
	if err != nil {
		t.Fatal(err)
	}
	return p, sdk.RunSpec{
		WorkID: prepared.WorkID, Loop: sdk.LoopBatch, RequestsPerPass: 2, Record: sdk.RecordToken, HeartbeatMs: 50,
	}
}

func TestWholeLife(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "")
	d := p.Description()
	if d.Name != "test" || d.Version != "1.2.3" || d.BackendSchema[0].Default != int64(1)<<53+1 {
		t.Errorf("description is %+v", d)
	}
	checks, err := p.Check(t.Context(), []sdk.Cell{cell}, sdk.DepthStatic)
	if err != nil || len(checks) != 1 || checks[0].CellID != "c1" || checks[0].Refused() || len(checks[0].Loops) != 2 {
		t.Errorf("checks are %+v, %v", checks, err)
	}
	bad := cell
	bad.Parameters = sdk.Table{"kind": "c", "bug": int64(1)}
	checks, err = p.Check(t.Context(), []sdk.Cell{bad}, sdk.DepthStatic)
	if err != nil || len(checks[0].Diagnostics) != 2 {
		t.Errorf("checks of a bad cell are %+v, %v", checks, err)
	}
	var stages []string
	report, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, func(s sdk.StageEvent) { stages = append(stages, string(s.Moment)) })
	if err != nil {
		t.Fatal(err)
	}
	if report.Resolved["big"] != int64(1)<<53+1 {
		t.Errorf("2^53+1 came back as %v", report.Resolved["big"])
	}
	if diff := cmp.Diff([]string{"begin", "end"}, stages); diff != "" {
		t.Errorf("stages:\n%s", diff)
	}
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil); !errors.Is(err, sdk.CallOrder) {
		t.Errorf("a second load gives %v", err)
	}
	prepared, err := p.Prepare(t.Context(), work(6))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	finished, err := p.Run(t.Context(), sdk.RunSpec{
		WorkID: prepared.WorkID, Loop: sdk.LoopBatch, RequestsPerPass: 2, Record: sdk.RecordToken,
	}, func(e sdk.RunEvent) error {
		kinds = append(kinds, fmt.Sprintf("%T", e))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if finished.Reason != sdk.FinishWorkUsedUp || finished.Completions != 6 || finished.Passes != 3 || finished.OutputTokens != 24 {
		t.Errorf("finished is %+v", finished)
	}
	want := []string{
		"sdk.Started", "sdk.Completions", "sdk.PassRecord", "sdk.Completions", "sdk.PassRecord",
		"sdk.Completions", "sdk.PassRecord", "sdk.Finished",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("events:\n%s", diff)
	}
	if counters, err := p.Counters(t.Context()); counters != nil || err != nil {
		t.Errorf("counters of a backend without any are %v, %v", counters, err)
	}
	for range 2 {
		if err := p.Unload(t.Context()); err != nil {
			t.Errorf("unload: %v", err)
		}
	}
	if _, err := p.Prepare(t.Context(), work(1)); !errors.Is(err, sdk.CallOrder) {
		t.Errorf("prepare after unload gives %v", err)
	}
}

func TestErrorsCrossWhole(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "load-error")
	_, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil)
	want := &sdk.Error{
		Code: sdk.OutOfMemory, KeyPath: "big", Phase: "load", Message: "no room",
		Numbers: map[string]int64{"wanted_bytes": 1 << 40}, Advice: "make it smaller",
	}
	var got *sdk.Error
	if !errors.As(err, &got) || !errors.Is(err, sdk.OutOfMemory) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := p.Unload(t.Context()); err != nil {
		t.Errorf("unload after a failed load: %v", err)
	}
}

func TestAPanicIsAnErrorWithItsStack(t *testing.T) {
	t.Parallel()
	p, spec := ready(t, "panic", 2)
	_, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil })
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.Panicked || !strings.Contains(e.Stack, "engine).Run") {
		t.Fatalf("got %#v", err)
	}
	if _, err := p.Counters(t.Context()); err != nil {
		t.Errorf("the plugin did not live on: %v", err)
	}
}

func TestLiesAreCaught(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"early-stamp": "before the Run began",
		"twice":       "was completed twice",
		"count":       "has 7 output tokens and may have 4",
		"short":       "has 3 output tokens; exact lengths ask for 4",
		"foreign":     "request 1000 was completed and the Run has 0 to 3",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p, spec := ready(t, mode, 4)
			_, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil })
			var lie *LieError
			if !errors.As(err, &lie) || !strings.Contains(lie.What, want) {
				t.Errorf("got %v, want a lie about %q", err, want)
			}
			if sdk.CodeOf(err) != PluginLied {
				t.Errorf("the code is %s", sdk.CodeOf(err))
			}
		})
	}
	p, spec := ready(t, "forget", 4)
	if _, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil }); err == nil || !strings.Contains(err.Error(), "1 requests were handed out and 0 completed") {
		t.Errorf("a forgotten request gives %v", err)
	}
}

func TestDeathIsNamedWithLastWords(t *testing.T) {
	t.Parallel()
	p, spec := ready(t, "die", 2)
	_, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil })
	var died *DiedError
	if !errors.As(err, &died) || died.ExitCode != 9 || !strings.Contains(err.Error(), "device-side assert") || !errors.Is(err, sdk.EngineCrashed) {
		t.Errorf("got %v", err)
	}
}

func TestAStoppedPluginIsLostAndKilled(t *testing.T) {
	t.Parallel()
	p, spec := ready(t, "stop", 2)
	_, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil })
	var lost *LostError
	if !errors.As(err, &lost) {
		t.Errorf("got %v", err)
	}
	if sdk.CodeOf(err) != HeartbeatLost {
		t.Errorf("the code is %s", sdk.CodeOf(err))
	}
	begin := time.Now()
	p.Kill()
	p.Kill()
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the kill took %v", took)
	}
	<-p.Exited()
	var died *DiedError
	if _, err := p.Counters(t.Context()); !errors.As(err, &died) || died.Signal != "killed" {
		t.Errorf("a call on a dead plugin gives %v", err)
	}
}

func TestCancelComesBackAtOnce(t *testing.T) {
	t.Parallel()
	p, spec := ready(t, "", 2000)
	ctx, cancel := context.WithCancel(t.Context())
	var cancelled time.Time
	_, err := p.Run(ctx, spec, func(e sdk.RunEvent) error {
		if _, ok := e.(sdk.PassRecord); ok && cancelled.IsZero() {
			cancelled = time.Now()
			cancel()
		}
		return nil
	})
	if took := time.Since(cancelled); took > 200*time.Millisecond {
		t.Errorf("control came back after %v", took)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// The engine is quiet within its declared time: a new Run is possible.
	spec.MaxPasses = 1
	deadline := time.Now().Add(500 * time.Millisecond)
	for {
		_, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil })
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still busy after max_cancel_ms: %v", err)
		}
	}
}

func TestStopInItsThreeKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   sdk.StopKind
		loop   sdk.Loop
		reason sdk.FinishReason
	}{
		{sdk.StopAfterPass, sdk.LoopBatch, sdk.FinishStopped},
		{sdk.StopDrain, sdk.LoopClosed, sdk.FinishStopped},
		{sdk.StopAbort, sdk.LoopBatch, sdk.FinishAborted},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			p, spec := ready(t, "", 4000)
			spec.Loop = c.loop
			if c.loop == sdk.LoopClosed {
				spec.Concurrency, spec.RequestsPerPass = 1, 0
			}
			completions := int64(0)
			stopped := false
			finished, err := p.Run(t.Context(), spec, func(e sdk.RunEvent) error {
				switch x := e.(type) {
				case sdk.Completions:
					completions += int64(len(x))
				case sdk.Heartbeat:
					if !stopped && x.Done > 0 {
						stopped = true
						was, err := p.Stop(t.Context(), c.kind)
						if err != nil || !was {
							t.Errorf("stop: %v %v", was, err)
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if finished.Reason != c.reason || finished.Completions != completions || completions == 0 || completions >= 4000 {
				t.Errorf("finished %+v after %d completions", finished, completions)
			}
		})
	}
}

func TestStandardOutputCannotBlock(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "print")
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestKillLeavesNobody(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "children")
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil); err != nil {
		t.Fatal(err)
	}
	cookie := instanceOf(t, p.PID())
	waitFor(t, "the children", func() bool { return len(proc.Survivors(cookie)) >= 4 })
	p.Kill()
	waitFor(t, "their end", func() bool { return len(proc.Survivors(cookie)) == 0 })
}

// A plugin that is killed from outside takes its children along.
func TestADeadPluginsChildrenAreSwept(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "children")
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil); err != nil {
		t.Fatal(err)
	}
	cookie := instanceOf(t, p.PID())
	waitFor(t, "the children", func() bool { return len(proc.Survivors(cookie)) >= 4 })
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "their end", func() bool { return len(proc.Survivors(cookie)) == 0 })
}

func TestALongTemporaryDirectoryWorks(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 105))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	mustStart(t, "")
}

// instanceOf reads the cookie that descendants inherit.
func instanceOf(t *testing.T, pid int) string {
	t.Helper()
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		if cookie, ok := strings.CutPrefix(entry, "LLEM_PLUGIN_INSTANCE="); ok {
			return cookie
		}
	}
	t.Fatal("the plugin has no instance cookie")
	return ""
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("no sign of %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
