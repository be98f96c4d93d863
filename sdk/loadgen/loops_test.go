package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen/mockserver"
)

func TestBatches(t *testing.T) {
	server := start(t, mockserver.Options{})
	r := newRig(sdk.LoopBatch, 14) // three passes of four, two are left
	out := r.run(t, t.Context(), server.URL())
	if out.err != nil || len(out.passes) != 3 || len(out.completions) != 12 {
		t.Fatalf("%d passes, %d completions, %v", len(out.passes), len(out.completions), out.err)
	}
	for i, p := range out.passes {
		if p.Requests != 4 || p.OutputTokens != 32 || p.PromptTokens != 12 || int(p.FirstRequest) != 4*i {
			t.Errorf("pass %d: %+v", i, p)
		}
		for k := range uint32(4) {
			c := out.completions[p.FirstRequest+k]
			if c.SentNs < p.BeginNs || c.LastNs > p.EndNs {
				t.Errorf("request %d lies outside of its pass", c.Request)
			}
		}
		if i > 0 && p.BeginNs < out.passes[i-1].EndNs {
			t.Errorf("pass %d begins before the one before it ends", i)
		}
	}
}

// TestOpenLoop: each request leaves at its moment or later, never earlier and
// never out of turn, however many are in flight.
func TestOpenLoop(t *testing.T) {
	server := start(t, mockserver.Options{Step: 2 * time.Millisecond})
	r := newRig(sdk.LoopOpen, 40)
	for i := range r.work.Items {
		r.work.Items[i].ArrivalOffsetNs = int64(i/2) * 1e6 // two at a time
	}
	out := r.run(t, t.Context(), server.URL())
	if out.err != nil || len(out.completions) != 40 {
		t.Fatalf("%d completions, %v", len(out.completions), out.err)
	}
	begin := out.completions[0].IntendedNs
	for i := range uint32(40) {
		c := out.completions[i]
		if c.Failed() || c.IntendedNs-begin != r.work.Items[i].ArrivalOffsetNs || c.SentNs < c.IntendedNs {
			t.Errorf("request %d: intended %d, sent %d after the begin, %s", i, c.IntendedNs-begin, c.SentNs-begin, c.Error)
		}
		if i > 0 && c.SentNs < out.completions[i-1].SentNs && server.Connections.Load() <= openSpare {
			t.Errorf("request %d was sent before the one before it", i)
		}
	}
	if out.report.LatenessMostNs <= 0 || out.report.LatenessP99Ns > out.report.LatenessMostNs {
		t.Errorf("lateness p99 %d, most %d", out.report.LatenessP99Ns, out.report.LatenessMostNs)
	}
}

// TestClosedLoop: never more than asked are in flight, and the connections are
// used again.
func TestClosedLoop(t *testing.T) {
	server := start(t, mockserver.Options{Step: time.Millisecond})
	r := newRig(sdk.LoopClosed, 40)
	r.spec.First = 10
	out := r.run(t, t.Context(), server.URL())
	if out.err != nil || len(out.completions) != 30 || out.report.Failed != 0 {
		t.Fatalf("%d completions, %d failed, %v", len(out.completions), out.report.Failed, out.err)
	}
	if n := server.Connections.Load(); n != 4 {
		t.Errorf("4 in flight took %d connections", n)
	}
	for i, c := range out.completions {
		inFlight := 0
		for _, other := range out.completions {
			if other.SentNs <= c.SentNs && other.LastNs > c.SentNs {
				inFlight++
			}
		}
		if inFlight > 4 {
			t.Errorf("%d were in flight when request %d was sent", inFlight, i)
		}
	}
	if out.report.FallbackStamps == out.report.Reads {
		t.Error("the kernel stamped nothing")
	}
}

func TestRecordAndLimits(t *testing.T) {
	server := start(t, mockserver.Options{Mode: mockserver.TwoTokens})
	for _, c := range []struct {
		record sdk.Record
		chunks int
	}{{sdk.RecordRequest, 0}, {sdk.RecordChunk, 4}, {sdk.RecordToken, 8}} {
		r := newRig(sdk.LoopClosed, 40)
		r.spec.Record, r.spec.MaxRequests = c.record, 6
		out := r.run(t, t.Context(), server.URL())
		if len(out.completions) != 6 || out.finished.Reason != sdk.FinishLimit {
			t.Errorf("%d completions, ended as %s", len(out.completions), out.finished.Reason)
		}
		for _, done := range out.completions {
			if len(done.Chunks) != c.chunks || done.OutputTokens != 8 || done.FirstNs == 0 || done.LastNs < done.FirstNs {
				t.Errorf("record %s: %+v", c.record, done)
			}
		}
	}
}

// TestStops ends Runs in each way, and each time everything that was sent is
// completed.
func TestStops(t *testing.T) {
	for _, loop := range []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed, sdk.LoopOpen} {
		for _, kind := range []sdk.StopKind{sdk.StopDrain, sdk.StopAbort} {
			t.Run(string(loop)+" "+string(kind), func(t *testing.T) {
				// Answers take minutes if they are not broken off.
				server := start(t, mockserver.Options{Step: time.Millisecond})
				r := newRig(loop, 1000)
				for i := range r.work.Items {
					r.work.Items[i].ArrivalOffsetNs = int64(i) * 1e6
					if i >= 40 { // so that a slow machine does not send all
						r.work.Items[i].ArrivalOffsetNs += int64(time.Hour)
					}
					if kind == sdk.StopAbort {
						r.work.Items[i].MaxTokens = 1 << 20
					}
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				var run *sdk.Run
				var events atomic.Int64
				stop := func() {
					run.RequestStop(kind)
					if kind == sdk.StopAbort {
						cancel(sdk.ErrAborted)
					}
				}
				r.options.Observe = func(uint32, int64, []byte) {
					if events.Add(1) == 100 {
						stop()
					}
				}
				r.begun = func(x *sdk.Run) { run = x }
				out := r.run(t, ctx, server.URL())
				if out.err != nil || len(out.completions) == 0 || len(out.completions) == 1000 {
					t.Fatalf("%d completions, %v", len(out.completions), out.err)
				}
				aborted := 0
				for _, c := range out.completions {
					if c.FinishReason == "aborted" {
						aborted++
					} else if c.Failed() {
						t.Errorf("request %d: %s", c.Request, c.Error)
					}
				}
				if (kind == sdk.StopAbort) != (aborted > 0) || int64(aborted) != out.report.Aborted {
					t.Errorf("%d of %d were aborted, the report says %d", aborted, len(out.completions), out.report.Aborted)
				}
			})
		}
	}
}

// TestIdleOpenLoopStops: nothing is due for an hour and the host has enough.
func TestIdleOpenLoopStops(t *testing.T) {
	server := start(t, mockserver.Options{})
	for _, c := range []struct {
		name string
		stop func(*sdk.Run, context.CancelCauseFunc)
		want error
	}{
		{"drain", func(run *sdk.Run, _ context.CancelCauseFunc) { run.RequestStop(sdk.StopDrain) }, nil},
		{"cancel", func(_ *sdk.Run, cancel context.CancelCauseFunc) { cancel(nil) }, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(sdk.LoopOpen, 2)
			r.work.Items[1].ArrivalOffsetNs = int64(time.Hour)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			var run *sdk.Run
			r.begun = func(x *sdk.Run) { run = x }
			once := false
			r.options.Observe = func(uint32, int64, []byte) {
				if !once {
					once = true
					c.stop(run, cancel)
				}
			}
			if out := r.run(t, ctx, server.URL()); !errors.Is(out.err, c.want) || len(out.completions) != 1 {
				t.Errorf("%v with %d completions", out.err, len(out.completions))
			}
		})
	}
}

// TestServerDies: what was in flight fails, and the Run does not ask a dead
// address for ever.
func TestServerDies(t *testing.T) {
	for _, loop := range []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed, sdk.LoopOpen} {
		t.Run(string(loop), func(t *testing.T) {
			server := start(t, mockserver.Options{Step: time.Millisecond})
			r := newRig(loop, 10_000)
			r.spec.RequestsPerPass = 32
			for i := range r.work.Items {
				r.work.Items[i].ArrivalOffsetNs = int64(i) * 1e6
			}
			events := 0
			r.options.Observe = func(uint32, int64, []byte) {
				if events++; events == 100 {
					server.Close()
				}
			}
			out := r.run(t, t.Context(), server.URL())
			if !errors.Is(out.err, sdk.EngineCrashed) || out.report.Failed == 0 || out.report.Failed == 10_000 {
				t.Errorf("%v, %d failed", out.err, out.report.Failed)
			}
		})
	}
	t.Run("before", func(t *testing.T) {
		server := start(t, mockserver.Options{})
		server.Close()
		out := newRig(sdk.LoopClosed, 8).run(t, t.Context(), server.URL())
		if !errors.Is(out.err, sdk.EngineCrashed) || len(out.completions) != 0 {
			t.Errorf("%v, %d completions", out.err, len(out.completions))
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, o := range []Options{
		{URL: "https://127.0.0.1", Dialect: VLLM()}, {URL: "127.0.0.1:8000", Dialect: VLLM()}, {URL: "http://", Dialect: VLLM()},
		{URL: "http://127.0.0.1:99999", Dialect: VLLM()}, {URL: "http://127.0.0.1"}, {URL: "http://127.0.0.1", Dialect: VLLM(), APIKey: "a\r\nb"},
	} {
		if _, err := New(t.Context(), o); !errors.Is(err, sdk.InvalidRequest) {
			t.Errorf("%s: %v", o.URL, err)
		}
	}
	server := start(t, mockserver.Options{})
	r := newRig(sdk.LoopClosed, 8)
	r.spec.Concurrency = math.MaxUint32
	if out := r.run(t, t.Context(), server.URL()); !errors.Is(out.err, sdk.UnsupportedParameter) || !strings.Contains(out.err.Error(), "ulimit") {
		t.Errorf("more requests than descriptors: %v", out.err)
	}
}

// TestMemory: what can be decoded is, an event that is too large fails alone.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		name    string
		mode    mockserver.Mode
		change  func(*Options)
		failure string
	}{
		{"decoded early", mockserver.Normal, func(o *Options) { o.MemoryBytes = 64 << 10 }, ""},
		{"given up", mockserver.HugeEvent, func(o *Options) { o.MemoryBytes = 2 << 20 }, "memory_limit: "},
		{"event too long", mockserver.HugeEvent, func(o *Options) { o.MaxEventBytes = 1 << 20 }, "event_too_long: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := start(t, mockserver.Options{Mode: c.mode})
			r := newRig(sdk.LoopClosed, 12)
			for i := range r.work.Items {
				r.work.Items[i].MaxTokens = 200
			}
			c.change(&r.options)
			out := r.run(t, t.Context(), server.URL())
			for i, done := range out.completions {
				if c.failure == "" && (done.Failed() || done.OutputTokens != 200) || !strings.HasPrefix(done.Error, c.failure) {
					t.Errorf("request %d: %d tokens, %q", i, done.OutputTokens, done.Error)
				}
			}
			if out.err != nil || len(out.completions) != 12 {
				t.Errorf("%d completions, %v", len(out.completions), out.err)
			}
		})
	}
}

// TestLongPrompts are larger than a socket takes at once.
func TestLongPrompts(t *testing.T) {
	server := start(t, mockserver.Options{})
	r := newRig(sdk.LoopClosed, 2)
	for i := range r.work.Items {
		ids := make([]uint32, 1_000_000)
		for k := range ids {
			ids[k] = uint32(i + k)
		}
		r.work.Items[i].TokenIDs = ids
	}
	out := r.run(t, t.Context(), server.URL())
	if len(out.completions) != 2 || out.report.Failed != 0 || out.report.PromptsDiffer != 0 {
		t.Errorf("%d completions, %d failed, %d with other prompts", len(out.completions), out.report.Failed, out.report.PromptsDiffer)
	}
}

// TestStampsFollowWrites: each stamp lies between the server's writing and the
// reading of the event, by the clock that both share.
func TestStampsFollowWrites(t *testing.T) {
	server := start(t, mockserver.Options{Step: time.Millisecond, Fast: true})
	r := newRig(sdk.LoopClosed, 32)
	r.spec.Concurrency = 16
	seen := 0
	r.options.Observe = func(request uint32, ns int64, event []byte) {
		_, text, ok := strings.Cut(string(event), `"text":"`)
		if !ok {
			return
		}
		wrote, err := strconv.ParseInt(text[:16], 16, 64)
		if seen++; err != nil || ns < wrote-pairSlackNs || ns > sdk.MonoNow() {
			t.Errorf("request %d: written at %d, stamped at %d, %v", request, wrote, ns, err)
		}
	}
	if r.run(t, t.Context(), server.URL()); seen != 32*8 {
		t.Errorf("%d events were seen", seen)
	}
}

// startReactor makes a reactor without a loop, which a test turns by itself.
func startReactor(t *testing.T, url string) *reactor {
	t.Helper()
	g, err := New(t.Context(), Options{URL: url, Dialect: VLLM()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := newReactor(g, sdk.NewRun(sdk.RunSpec{}, newRig(sdk.LoopOpen, 1).work, func(sdk.RunEvent) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.free)
	return r
}

// TestNoDescriptors: being out of descriptors is the client's matter. Requests
// fail by name, and the server is not called dead.
func TestNoDescriptors(t *testing.T) {
	r := startReactor(t, "http://127.0.0.1:1")
	for range 2 * goneAfter {
		r.failed(fmt.Errorf("socket: %w", unix.EMFILE))
	}
	if err := r.gone(); err != nil {
		t.Error(err)
	}
	for range goneAfter {
		r.failed(unix.ECONNREFUSED)
	}
	if err := r.gone(); !errors.Is(err, sdk.EngineCrashed) {
		t.Error(err)
	}
}

// TestARestedConnectionIsAsked: a server's closing that no turn has told of yet is
// noticed before a request is sent into it.
func TestARestedConnectionIsAsked(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := startReactor(t, "http://"+listener.Addr().String())
	for _, closed := range []bool{false, true} {
		c, err := r.connect()
		if err != nil {
			t.Fatal(err)
		}
		for len(r.idle) == 0 {
			if err := r.step(t.Context(), 1000); err != nil {
				t.Fatal(err)
			}
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if closed {
			server.Close()
			poll := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLRDHUP}}
			if n, err := unix.Poll(poll, 5000); n != 1 || err != nil {
				t.Fatalf("the closing did not come: %v", err)
			}
		}
		r.nowNs = c.sinceNs + restedNs
		if got := r.kept(); closed != (got == nil) || closed != (c.fd < 0) {
			t.Errorf("closed %v: kept %v, descriptor %d", closed, got, c.fd)
		}
	}
}

// TestNeverConnected: requests whose connections never came up, because nobody
// accepts them, are completed as tried then and there.
func TestNeverConnected(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for _, loop := range []sdk.Loop{sdk.LoopOpen, sdk.LoopClosed} {
		t.Run(string(loop), func(t *testing.T) {
			r := newRig(loop, 8)
			r.options.Dialect.OneShot = true
			r.spec.Concurrency = 8
			ctx, cancel := context.WithCancelCause(t.Context())
			r.begun = func(*sdk.Run) { time.AfterFunc(100*time.Millisecond, func() { cancel(sdk.ErrAborted) }) }
			out := r.run(t, ctx, fmt.Sprintf("http://127.0.0.1:%d", address.(*unix.SockaddrInet4).Port))
			if out.err != nil || len(out.completions) != 8 {
				t.Fatalf("%v, %d of 8 completions", out.err, len(out.completions))
			}
			for i, c := range out.completions {
				if c.FinishReason != "aborted" || c.FirstNs != 0 {
					t.Errorf("request %d: %+v", i, c)
				}
			}
		})
	}
}
