package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// engine is the backend under test: every token takes stepUs, by absolute
// deadlines, and a fault by name happens in its measured Run.
type engine struct {
	fault   string
	step    time.Duration
	runs    int
	mu      sync.Mutex
	counted int64
}

func (e *engine) Describe() sdk.Description {
	return sdk.Description{
		Name: "test", Version: "1.0.0", Doc: "A test.",
		Parameters: []sdk.Parameter{sdk.Text("fault"), sdk.Int("step_us").Or(5000)},
		Abilities:  sdk.Abilities{Loops: []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed, sdk.LoopOpen}, MaxCancelMs: 500},
	}
}

func (e *engine) Load(ctx context.Context, req sdk.LoadRequest, progress *sdk.Progress) (sdk.LoadReport, error) {
	e.fault = req.Cell.Parameters.String("fault", "")
	e.step = time.Duration(req.Cell.Parameters.Int("step_us", 5000)) * time.Microsecond
	switch e.fault {
	case "load exit":
		fmt.Fprintln(os.Stderr, "libcuda.so.1: cannot open")
		os.Exit(3)
	case "load error":
		return sdk.LoadReport{}, &sdk.Error{Code: sdk.OutOfMemory, Message: "no room", Numbers: map[string]int64{"wanted_bytes": 1 << 40}, Advice: "take less"}
	case "load slow":
		<-ctx.Done()
		return sdk.LoadReport{}, ctx.Err()
	case "flood":
		for range 20_000 {
			progress.Begin(sdk.StageWeights, "tensor")
		}
		<-ctx.Done()
	}
	vocab := uint32(512)
	report := sdk.LoadReport{Engine: "test", Model: sdk.ModelIdentity{Vocab: &vocab, Base: "test"}}
	switch e.fault {
	case "random weights":
		report.Model.RandomWeights, report.Model.Vocab = true, nil
		report.Warnings = []sdk.Warning{{Code: "fallback_kernel", Message: "slow kernels"}}
	case "gpu":
		report.Devices = []sdk.DeviceUse{{ID: "GPU-1", Kind: "gpu"}}
	}
	return report, nil
}

func (e *engine) Run(ctx context.Context, run *sdk.Run) error {
	e.runs++
	if e.fault == "slow start" && e.runs == 1 {
		defer func(step time.Duration) { e.step = step }(e.step)
		e.step *= 60
	}
	if e.fault == "late client" {
		late := int64(e.runs) * 1e6
		run.SetClient(sdk.ClientHealth{LatenessP99Ns: &late, StampSource: sdk.StampKernel})
		run.Warn(sdk.Warning{Code: "client_limited", Message: fmt.Sprintf("Run %d", e.runs)})
	}
	if run.Spec().Loop == sdk.LoopClosed {
		return e.closed(ctx, run)
	}
	if run.Spec().Loop == sdk.LoopOpen {
		return e.open(ctx, run)
	}
	if e.fault == "forget" && e.runs == 2 {
		run.Next(ctx)
		return nil
	}
	for pass := range run.Passes(ctx) {
		sent := sdk.MonoNow()
		if err := e.disturb(ctx, run, int(pass.Index)); err != nil {
			return err
		}
		last := sent + int64(pass.Items[0].MaxTokens)*int64(e.step)
		if e.fault == "uneven" && pass.Index%2 == 0 {
			last += int64(50 * e.step)
		}
		whole := sleepUntil(ctx, last)
		if e.fault == "prefill" { // no fault: it says where the first 12 steps end
			pass.PrefillEndAt(sent + 12*int64(e.step))
		}
		for i, item := range pass.Items {
			e.complete(run, pass.First+uint32(i), item, sent, min(last, sdk.MonoNow()), whole)
		}
		if e.fault == "return" && e.runs == 2 && pass.Index == 2 {
			return nil
		}
	}
	return nil
}

// closed serves as many requests at a time as it is told, all in step.
func (e *engine) closed(ctx context.Context, run *sdk.Run) error {
	var all sync.WaitGroup
	begin := sdk.MonoNow()
	for range run.Spec().Concurrency {
		all.Go(func() {
			sent := begin
			for request := range run.Requests(ctx) {
				last := sent + int64(request.Item.MaxTokens)*int64(e.step)
				whole := sleepUntil(ctx, last)
				e.complete(run, request.Index, request.Item, sent, last, whole)
				sent = last
			}
		})
	}
	all.Wait()
	return ctx.Err()
}

// open serves one request after another, each at its arrival or when the one before
// it is over.
func (e *engine) open(ctx context.Context, run *sdk.Run) error {
	const pollNs = int64(2e6)
	var all sync.WaitGroup
	items, freeNs := run.Work().Items, run.BeginNs()
	for index := int(run.Spec().First); ; index++ {
		dueNs := run.BeginNs()
		if index < len(items) {
			dueNs += items[index].ArrivalOffsetNs
		}
		for sdk.MonoNow() < dueNs && run.Stopping() == sdk.StopNone && ctx.Err() == nil {
			sleepUntil(ctx, min(dueNs, sdk.MonoNow()+pollNs))
		}
		request, more := run.Next(ctx)
		if !more {
			break
		}
		beginNs := max(freeNs, dueNs)
		freeNs = beginNs + int64(request.Item.MaxTokens)*int64(e.step)
		lastNs := freeNs
		all.Go(func() {
			c := sdk.Completion{Request: request.Index, IntendedNs: dueNs, SentNs: dueNs, PromptTokens: uint32(len(request.Item.TokenIDs)), FinishReason: "length"}
			if !sleepUntil(ctx, lastNs) {
				c.FinishReason = "aborted"
			}
			for k := range int64(request.Item.MaxTokens) {
				if atNs := beginNs + (k+1)*int64(e.step); c.FinishReason == "length" || atNs <= sdk.MonoNow() {
					c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: atNs, Tokens: 1})
				}
			}
			if n := len(c.Chunks); n > 0 {
				c.FirstNs, c.LastNs, c.OutputTokens = c.Chunks[0].MonoNs, c.Chunks[n-1].MonoNs, uint32(n)
			}
			e.mu.Lock()
			e.counted += int64(c.OutputTokens)
			e.mu.Unlock()
			run.Complete(c)
		})
	}
	all.Wait()
	return ctx.Err()
}

// disturb has the fault that a measured Run's pass 3 brings.
func (e *engine) disturb(ctx context.Context, run *sdk.Run, pass int) error {
	if e.runs < 2 || pass != 3 {
		return nil
	}
	switch e.fault {
	case "exit":
		for i := range 3 {
			fmt.Fprintln(os.Stderr, "CUDA error", i)
		}
		os.Exit(9)
	case "panic":
		panic("boom in Run")
	case "error":
		return &sdk.Error{Code: sdk.OutOfMemory, Message: "the cache is full", Advice: "make it larger"}
	case "wedge":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		<-ctx.Done() // the stop may take a moment
	case "stall":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (e *engine) complete(run *sdk.Run, index uint32, item sdk.WorkItem, sent, last int64, whole bool) {
	c := sdk.Completion{
		Request: index, SentNs: sent, FirstNs: min(sent+int64(e.step), last), LastNs: last,
		PromptTokens: uint32(len(item.TokenIDs)), OutputTokens: item.MaxTokens, FinishReason: "length",
	}
	if run.Spec().Record != sdk.RecordRequest {
		for k := range item.MaxTokens {
			c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: min(last, sent+int64(k+1)*int64(e.step)), Tokens: 1})
		}
	}
	measured := e.runs == 2
	switch {
	case !whole, e.fault == "short" && measured:
		c.FinishReason, c.OutputTokens, c.Chunks = "aborted", c.OutputTokens-1, nil
	case e.fault == "fail always", e.fault == "fail" && measured && index%8 == 5:
		c.Error, c.FinishReason = "no slot", "error"
	case e.fault == "silent" && measured:
		c.OutputTokens, c.FirstNs, c.LastNs, c.FinishReason = 0, 0, 0, "stop"
	case e.fault == "lie count" && measured:
		c.OutputTokens += 3
	case e.fault == "lie stamp" && measured:
		c.SentNs -= int64(time.Hour)
	}
	e.mu.Lock()
	e.counted += int64(c.OutputTokens)
	if e.fault == "counters" {
		e.counted++
	}
	e.mu.Unlock()
	run.Complete(c)
}

func (e *engine) Counters(context.Context) (sdk.Counters, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	counted := e.counted
	return sdk.Counters{OutputTokens: &counted}, nil
}

func (e *engine) Unload(ctx context.Context) error {
	switch e.fault {
	case "unload hang":
		<-ctx.Done()
		time.Sleep(time.Minute)
	case "unload error":
		return errors.New("the engine is busy")
	case "unload exit":
		fmt.Fprintln(os.Stderr, "double free")
		os.Exit(6)
	}
	return nil
}

func sleepUntil(ctx context.Context, ns int64) bool {
	return sleep(ctx, time.Duration(ns-sdk.MonoNow())) && ctx.Err() == nil
}

// meterPeriod is the update period of the test's sensors.
const meterPeriod = 5 * time.Millisecond

// meter is an energy source whose samples are exact: each is the mean power of
// the period before it, in mW. They lie on a grid, so that a busy machine makes
// them late and not fewer.
type meter struct {
	// powerW at a stamp; nil = 100 W.
	powerW func(ns int64) float64
	// change may spoil a batch or drop it, by returning false.
	change func(*sdk.SampleBatch) bool
	// domain may change the description.
	domain func(*sdk.Domain)
	// fault is how the stream goes wrong from now on: "exit", "flood" or
	// "stuck"; nil or "" = not at all.
	fault func() string
}

func (m *meter) Describe() sdk.Description {
	return sdk.Description{Name: "meter", Version: "1.0.0", Doc: "A meter."}
}

func (m *meter) Open(context.Context, sdk.OpenRequest) ([]sdk.Domain, error) {
	d := sdk.Domain{
		ID: "package-0", Kind: sdk.DomainCPUPackage, Reading: sdk.ReadingIntervalMean, Unit: sdk.UnitWatt,
		UnitNumerator: 1, UnitDenominator: 1000, UpdatePeriodNs: int64(meterPeriod),
	}
	if m.domain != nil {
		m.domain(&d)
	}
	return []sdk.Domain{d}, nil
}

func (m *meter) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	now := sdk.MonoNow()
	for sequence := uint64(0); ; sequence++ {
		now += int64(meterPeriod)
		if !sleepUntil(ctx, now) {
			return nil
		}
		fault := ""
		if m.fault != nil {
			fault = m.fault()
		}
		if fault == "exit" {
			fmt.Fprintln(os.Stderr, "sensor bus error")
			os.Exit(5)
		}
		watts := 100.0
		if m.powerW != nil {
			watts = m.powerW(now - int64(meterPeriod/2))
		}
		batch := sdk.SampleBatch{
			DomainID: "package-0", Sequence: sequence, CompleteUntilNs: now, MonoNs: []int64{now}, Values: []int64{int64(watts * 1000)},
		}
		switch fault {
		case "flood": // a sample every microsecond
			for ns := now - int64(meterPeriod) + 1000; ns < now; ns += 1000 {
				batch.MonoNs, batch.Values = append(batch.MonoNs, ns), append(batch.Values, 1)
			}
		case "stuck":
			batch.CompleteUntilNs = 1
		}
		if m.change != nil && !m.change(&batch) {
			sequence--
			continue
		}
		if err := emit(batch); err != nil {
			return err
		}
	}
}

func (m *meter) Close(context.Context) error { return nil }
