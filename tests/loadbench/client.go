package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
)

// measured is what a client prints about itself, as one line of JSON.
type measured struct {
	Tokens     int64   `json:"tokens"`
	Requests   int64   `json:"requests"`
	WallS      float64 `json:"wall_s"`
	CPUS       float64 `json:"cpu_s"`
	ErrorP50Us float64 `json:"error_p50_us"`
	ErrorP99Us float64 `json:"error_p99_us"`
	LateP50Us  float64 `json:"late_p50_us"`
	LateP99Us  float64 `json:"late_p99_us"`
	// The generator's own report.
	DelayP99Us float64  `json:"delay_p99_us"`
	Merged     float64  `json:"merged"`
	Fallback   int64    `json:"fallback"`
	Failed     int64    `json:"failed"`
	Warnings   []string `json:"warnings"`
}

type clientOptions struct {
	url      string
	streams  int     // closed loop
	rate     float64 // open loop, if not 0
	tokens   int
	seconds  float64
	warm     float64
	user     bool // user stamps
	items    int  // of prepared work
	requests bool // no stamps: only requests are counted
}

func client(args []string) error {
	var o clientOptions
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	flags.StringVar(&o.url, "url", "", "")
	flags.IntVar(&o.streams, "streams", 64, "")
	flags.Float64Var(&o.rate, "rate", 0, "")
	flags.IntVar(&o.tokens, "tokens", 128, "")
	flags.Float64Var(&o.seconds, "seconds", 3, "")
	flags.Float64Var(&o.warm, "warm", 1, "")
	flags.IntVar(&o.items, "items", 1<<14, "")
	flags.BoolVar(&o.user, "user", false, "")
	flags.BoolVar(&o.requests, "requests", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	m, err := o.measure()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// watch sees every event when it is decoded, which may be a while after it
// came; the generator's thread calls it.
type watch struct {
	events []seen
	first  int // bytes before the text; 0 = not yet known
}

// seen is one event: when the server wrote it and when it was stamped.
type seen struct{ wroteNs, stampNs int64 }

// within returns the stamp errors of the events written in the window, sorted.
func (w *watch) within(fromNs, toNs int64) []int64 {
	var list []int64
	for _, e := range w.events {
		if e.wroteNs > fromNs && e.wroteNs <= toNs {
			list = append(list, e.stampNs-e.wroteNs)
		}
	}
	slices.Sort(list)
	return list
}

func (w *watch) event(_ uint32, ns int64, event []byte) {
	if w.first == 0 {
		w.first = bytes.Index(event, []byte(`"text":"`)) + len(`"text":"`)
	}
	if len(event) < w.first+16 {
		return
	}
	if wrote, err := strconv.ParseInt(string(event[w.first:w.first+16]), 16, 64); err == nil && len(w.events) < cap(w.events) {
		w.events = append(w.events, seen{wrote, ns})
	}
}

func (o clientOptions) measure() (measured, error) {
	var m measured
	w := &watch{events: make([]seen, 0, 4<<20)}
	options := loadgen.Options{URL: o.url, Model: "m", Dialect: loadgen.VLLM(), UserStamps: o.user}
	if !o.requests {
		options.Observe = w.event
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	g, err := loadgen.New(ctx, options)
	if err != nil {
		return m, err
	}
	work := o.work()
	if err := g.Prepare(ctx, work); err != nil {
		return m, err
	}
	var requests atomic.Int64
	run := sdk.NewRun(o.spec(), work, func(e sdk.RunEvent) {
		if list, ok := e.(sdk.Completions); ok {
			requests.Add(int64(len(list)))
		}
	})
	type ended struct {
		report loadgen.Report
		err    error
	}
	done := make(chan ended, 1)
	go func() {
		report, err := g.Run(ctx, run)
		done <- ended{report, err}
	}()
	time.Sleep(time.Duration(o.warm * 1e9))
	begin, cpu0, requests0 := sdk.MonoNow(), cpuSeconds(), requests.Load()
	time.Sleep(time.Duration(o.seconds * 1e9))
	finish := sdk.MonoNow()
	m.WallS, m.CPUS, m.Requests = float64(finish-begin)/1e9, cpuSeconds()-cpu0, requests.Load()-requests0
	run.RequestStop(sdk.StopAbort)
	cancel(sdk.ErrAborted)
	end := <-done
	if end.err != nil {
		return m, end.err
	}
	r := end.report
	sample := w.within(begin, finish)
	at := func(q float64) float64 {
		if len(sample) == 0 {
			return 0
		}
		return float64(sample[int(q*float64(len(sample)-1))]) / 1e3
	}
	m.Tokens = int64(len(sample))
	m.ErrorP50Us, m.ErrorP99Us = at(0.5), at(0.99)
	m.LateP50Us, m.LateP99Us, m.DelayP99Us = float64(r.LatenessP50Ns)/1e3, float64(r.LatenessP99Ns)/1e3, float64(r.DelayP99Ns)/1e3
	m.Merged = float64(r.MergedEvents) / float64(max(1, r.Chunks))
	m.Fallback, m.Failed = r.FallbackStamps, r.Failed
	for _, warning := range r.Warnings() {
		m.Warnings = append(m.Warnings, fmt.Sprintf("%s: %s", warning.Code, warning.Message))
	}
	return m, nil
}

func (o clientOptions) spec() sdk.RunSpec {
	spec := sdk.RunSpec{WorkID: "w", Loop: sdk.LoopClosed, Concurrency: uint32(o.streams), Record: sdk.RecordRequest}
	if o.rate > 0 {
		spec.Loop = sdk.LoopOpen
	}
	return spec
}

// work is more than the client can send in its time.
func (o clientOptions) work() *sdk.Work {
	work := &sdk.Work{ID: "w", ExactLengths: true}
	prompt := make([]uint32, 128)
	for i := range prompt {
		prompt[i] = uint32(1000 + i)
	}
	for i := range o.items {
		item := sdk.WorkItem{TokenIDs: prompt, MaxTokens: uint32(o.tokens)}
		if o.rate > 0 {
			item.ArrivalOffsetNs = 50e6 + int64(float64(i)*1e9/o.rate)
		}
		work.Items = append(work.Items, item)
	}
	return work
}

func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
