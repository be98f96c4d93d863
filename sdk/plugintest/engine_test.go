package plugintest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// engine is a backend whose tokens take no time and whose requests take half
// a millisecond. Its mode names the one rule that it breaks.
type engine struct {
	mode   string
	tokens atomic.Int64
	reads  atomic.Int64
	runs   atomic.Int64
}

func (e *engine) Describe() sdk.Description {
	threads := sdk.Int("threads").Or(2).Between(1, 64).Doc("Worker threads.")
	d := sdk.Description{
		Name: "good", Version: "1.2.3-rc.1", Doc: "A small backend.",
		Parameters: []sdk.Parameter{
			threads, sdk.Text("kv_type").OneOf("f16", "q8").Doc("Type of the cache."),
			sdk.Text("token").Hidden().Doc("Key of the model hub."),
			sdk.Nested("deep", sdk.Float("share").Or(0.5).Between(0, 1).Doc("Share of memory.")).Doc("A table."),
		},
		Abilities: sdk.Abilities{Loops: []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed, sdk.LoopOpen}, Edge: sdk.EdgeQuiesced, MaxCancelMs: 300},
	}
	switch e.mode {
	case "description":
		d.Name, d.Version = "Bad Name", "v1"
	case "schema":
		d.Parameters[0].Default = 65
		d.Parameters[1].Description = ""
		d.Parameters[2].Sweepable = true
		d.Parameters[3].Children = append(d.Parameters[3].Children, sdk.Text("key").Hidden().Doc("It is never resolved."))
		d.Parameters = append(d.Parameters, threads, sdk.Text("plugin").Doc("Taken."))
	}
	return d
}

func (e *engine) Check(_ context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	if e.mode == "verdicts" && depth == sdk.DepthStatic {
		return make([]sdk.CellCheck, len(cells)-1), nil
	}
	checks := make([]sdk.CellCheck, len(cells))
	refuse := func(message, advice string) {
		for i := range checks {
			checks[i].Diagnostics = append(checks[i].Diagnostics, sdk.Diagnostic{Severity: sdk.SeverityError, KeyPath: "threads", Message: message, Advice: advice})
		}
	}
	if e.mode == "no cell" {
		refuse("there are never enough", "")
	}
	if depth == sdk.DepthEnvironment && e.mode == "no file" {
		checks[0].Diagnostics = []sdk.Diagnostic{{Severity: sdk.SeverityError, KeyPath: "model.path", Message: "the engine loads a file"}}
	}
	if depth == sdk.DepthEnvironment && e.mode == "slow here" {
		checks[0].Diagnostics = []sdk.Diagnostic{{Severity: sdk.SeverityWarning, KeyPath: "threads", Message: "there are two CPUs"}}
	}
	if depth == sdk.DepthEnvironment && (e.mode == "no package" || e.mode == "no cell") {
		refuse("libthreads is not installed", "install it")
	}
	return checks, nil
}

func (e *engine) Load(_ context.Context, req sdk.LoadRequest, progress *sdk.Progress) (sdk.LoadReport, error) {
	end := progress.Begin(sdk.StageWeights, "making them up")
	progress.Report(sdk.StageWeights, 0.5, "half")
	if e.mode != "open stage" {
		end()
	}
	switch e.mode {
	case "load":
		return sdk.LoadReport{}, errors.New("the engine does not come up")
	case "no engine":
		return sdk.LoadReport{}, &sdk.Error{Code: sdk.EngineMissing, Message: "libengine.so is not installed"}
	case "leaves a child":
		// Out of the group and without the cookie: known by descent only.
		child := exec.Command("sleep", "5")
		child.Env = []string{"PATH=" + os.Getenv("PATH")}
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			return sdk.LoadReport{}, err
		}
	}
	vocab := uint32(100)
	report := sdk.LoadReport{
		Engine: "good", Model: sdk.ModelIdentity{Vocab: &vocab, RandomWeights: true},
		Resolved: sdk.Table{"threads": req.Cell.Parameters.Int("threads", 2)},
	}
	if e.mode == "unresolved" {
		report.Resolved = nil
	}
	return report, nil
}

func (e *engine) Run(ctx context.Context, run *sdk.Run) error {
	e.runs.Add(1)
	defer e.linger(ctx)
	e.note(run)
	if run.Spec().Loop == sdk.LoopBatch {
		var endNs int64
		for pass := range run.Passes(ctx) {
			if e.mode == "gaps inside" && endNs != 0 {
				pass.BeginAt(endNs)
			}
			for i, item := range pass.Items {
				e.generate(ctx, run, sdk.Request{Index: pass.First + uint32(i), Item: item})
			}
			endNs = sdk.MonoNow()
			pass.EndAt(endNs)
		}
		return nil
	}
	if run.Spec().Loop == sdk.LoopOpen {
		e.open(ctx, run)
		return nil
	}
	workers := run.Spec().Concurrency
	if e.mode == "concurrency" {
		workers += 2
	}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for request := range run.Requests(ctx) {
				e.generate(ctx, run, request)
			}
		})
	}
	all.Wait()
	return nil
}

// linger ends a Run later than the backend declares.
func (e *engine) linger(ctx context.Context) {
	aborted := errors.Is(context.Cause(ctx), sdk.ErrAborted)
	if e.mode == "slow abort" && aborted || e.mode == "slow cancel" && ctx.Err() != nil && !aborted {
		time.Sleep(time.Second)
	}
}

func (e *engine) note(run *sdk.Run) {
	if e.mode == "unnamed warning" {
		run.Warn(sdk.Warning{Code: "Too slow", Message: "the client is too slow"})
	}
}

// open sends each request when it is due.
func (e *engine) open(ctx context.Context, run *sdk.Run) {
	var all sync.WaitGroup
	for request := range run.Requests(ctx) {
		if e.mode != "unscheduled" {
			due := run.BeginNs() + request.Item.ArrivalOffsetNs
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(due - sdk.MonoNow())):
			}
		}
		all.Go(func() { e.generate(ctx, run, request) })
	}
	all.Wait()
}

// token is when a request's tokens are there.
func (e *engine) token(run *sdk.Run) <-chan time.Time {
	if e.mode == "forgets what waits" && run.Spec().Loop == sdk.LoopOpen {
		return time.After(100 * time.Millisecond)
	}
	return time.After(500 * time.Microsecond)
}

func (e *engine) generate(ctx context.Context, run *sdk.Run, request sdk.Request) {
	c := sdk.Completion{Request: request.Index, SentNs: sdk.MonoNow(), PromptTokens: uint32(len(request.Item.TokenIDs)), FinishReason: "length"}
	if run.Spec().Loop == sdk.LoopOpen && e.mode != "unscheduled" {
		c.IntendedNs = run.BeginNs() + request.Item.ArrivalOffsetNs
	}
	select {
	case <-ctx.Done():
		if c.FinishReason = "aborted"; e.mode == "forgets what waits" && run.Spec().Loop == sdk.LoopOpen {
			return
		}
	case <-e.token(run):
		c.FirstNs = sdk.MonoNow()
		c.LastNs, c.OutputTokens = c.FirstNs, request.Item.MaxTokens
		c.Chunks = []sdk.Chunk{{MonoNs: c.FirstNs, Tokens: c.OutputTokens}}
	}
	if e.mode == "short output" && c.OutputTokens > 0 {
		c.OutputTokens--
		c.Chunks[0].Tokens--
	}
	if e.mode == "failures" {
		c.Error = "it never works"
	}
	e.tokens.Add(int64(c.OutputTokens))
	run.Complete(c)
}

func (e *engine) Counters(context.Context) (sdk.Counters, error) {
	tokens := e.tokens.Load()
	if e.mode == "falling counter" {
		tokens = -e.reads.Add(1)
	}
	return sdk.Counters{MonoNs: sdk.MonoNow(), OutputTokens: &tokens}, nil
}

func (e *engine) Unload(context.Context) error {
	switch e.mode {
	case "unload":
		return errors.New("it does not go away")
	case "leaves a child":
		// Only in a process that is killed in its first Run, and before
		// anybody looks for the child.
		if e.runs.Load() == 1 {
			os.Exit(0)
		}
	}
	return nil
}
