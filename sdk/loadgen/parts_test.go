package loadgen

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

var update = flag.Bool("update", false, "write golden files again")

// TestBodies shows what each dialect sends.
func TestBodies(t *testing.T) {
	var got bytes.Buffer
	for _, d := range []struct {
		name    string
		dialect Dialect
	}{{"vllm", VLLM()}, {"sglang", SGLang()}, {"sglang native", SGLangNative()}, {"llama.cpp", LlamaCpp()}, {"llama.cpp native", LlamaCppNative()}, {"tensorrt", TensorRT()}} {
		for _, exact := range []bool{true, false} {
			work := &sdk.Work{ExactLengths: exact, Sampling: sdk.Sampling{Seed: 42}}
			if !exact {
				work.Sampling = sdk.Sampling{Temperature: 0.8, TopP: 0.95, TopK: 40, Seed: 42}
			}
			e, err := newEncoder(Options{URL: "http://h:1/base/", Model: "m\"", APIKey: "key", Dialect: d.dialect}, "h:1", work)
			if err != nil {
				t.Fatal(err)
			}
			text := e.append(nil, sdk.WorkItem{TokenIDs: []uint32{0, 9, 10, 99, 100, 4294967295}, MaxTokens: 32})
			head, body, _ := strings.Cut(string(text), "\r\n\r\n")
			if !json.Valid([]byte(body)) || !strings.Contains(head, fmt.Sprintf("Content-Length: %d", len(body))) {
				t.Errorf("%s: %s", d.name, text)
			}
			fmt.Fprintf(&got, "== %s, exact lengths: %v\n%s\n\n%s\n\n", d.name, exact, strings.ReplaceAll(head, "\r", ""), body)
		}
	}
	const file = "testdata/bodies.golden"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%v\n%s", err, got.Bytes())
	}
}

// TestPrepared: what was rendered before is sent like the rest.
func TestPrepared(t *testing.T) {
	work := newRig(sdk.LoopClosed, 3).work
	g, err := New(t.Context(), Options{URL: "http://127.0.0.1:1", Dialect: VLLM()})
	if err != nil {
		t.Fatal(err)
	}
	run := sdk.NewRun(sdk.RunSpec{}, work, func(sdk.RunEvent) {})
	r, err := newReactor(g, run)
	if err != nil {
		t.Fatal(err)
	}
	defer r.free()
	var plain [][]byte
	for i, item := range work.Items {
		b, own := r.body(uint32(i), item)
		if plain = append(plain, b); !own {
			t.Error("nothing was prepared")
		}
	}
	if err := g.Prepare(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	for i, item := range work.Items {
		if b, own := r.body(uint32(i), item); own || !bytes.Equal(b, plain[i]) {
			t.Errorf("prepared:\n%s\nelse:\n%s", b, plain[i])
		}
	}
}

// A name may have addresses that the server does not listen on.
func TestTheAddressThatListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for want, list := range map[string][]string{
		"127.0.0.2": {"::1", "127.0.0.1", "::ffff:127.0.0.2"}, // one that listens
		"127.0.0.3": {"::1", "127.0.0.3", "127.0.0.1"},        // none: the first of the older kind
		"::1":       {"::1"},
	} {
		var addresses []netip.Addr
		for _, text := range list {
			addresses = append(addresses, netip.MustParseAddr(text))
		}
		if got := listening(t.Context(), addresses, port); got.String() != want {
			t.Errorf("%v: %v, want %s", list, got, want)
		}
	}
}

func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var all []int64
	if h.quantile(0.5) != 0 {
		t.Error("an empty one has a median")
	}
	for range 10_000 {
		ns := int64(1) << random.IntN(40)
		ns += random.Int64N(ns)
		h.add(ns)
		all = append(all, ns)
	}
	h.add(-5)
	slices.Sort(all)
	for _, share := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[int(share*float64(len(all)-1))]
		if got := h.quantile(share); float64(got) < 0.9*float64(want) || float64(got) > 1.1*float64(want)+1 {
			if share > 0 { // the negative one is there
				t.Errorf("quantile %v is %d, expected about %d", share, got, want)
			}
		}
	}
	for _, ns := range []int64{0, 1, 31, 32, 33, 1 << 40, 1<<63 - 1} {
		if edge := histogramEdge(histogramBucket(ns)); edge < ns || float64(edge) > 1.04*float64(ns)+1 {
			t.Errorf("%d falls into the bucket up to %d", ns, edge)
		}
	}
}

// wallClock is a pair of clocks under the test's control.
type wallClock struct {
	mono, offset int64
	late         []int64 // descheduled so long between the two readings
}

func (w *wallClock) pair() (monoNs, wallNs int64) {
	w.mono += 50
	wall := w.mono - w.offset
	if len(w.late) > 0 {
		w.mono += w.late[0]
		w.late = w.late[1:]
	}
	return w.mono, wall
}

func TestStampClock(t *testing.T) {
	w := &wallClock{mono: 1e9, offset: -5e18}
	c := newStampClock(w.pair)
	receive := func(mono int64) (int64, bool) { return c.kernel(mono-w.offset, c.now()) }

	if at := w.mono; true {
		w.mono += 300_000
		if got, ok := receive(at); !ok || got != at {
			t.Errorf("300 us later: %d, expected %d", got, at)
		}
	}
	// Slewed by 500 ppm over a second: followed.
	w.mono += 1e9
	w.offset += 500_000
	if got, ok := receive(w.mono); !ok || max(got-w.mono, w.mono-got) > 1000 || c.steps != 0 {
		t.Errorf("slewed: %d at %d, %d steps", got, w.mono, c.steps)
	}
	// Descheduled between the two readings of a pair: no step, no error.
	w.late = []int64{3e6}
	before := w.mono
	if got, ok := receive(before); !ok || max(got-before, before-got) > 1000 || c.steps != 0 || c.resolved != 1 {
		t.Errorf("descheduled: %d at %d, %d steps, %d resolved", got, before, c.steps, c.resolved)
	}
	// Set forth and back: what was stamped before is refused, what comes then
	// is right.
	for _, step := range []int64{-7e6, 7e6, -3600e9} {
		wallBefore, steps := w.mono-w.offset, c.steps
		w.offset += step
		if got, ok := c.kernel(wallBefore, c.now()); ok {
			t.Errorf("a stamp from before a step of %d was mapped to %d", step, got)
		}
		w.mono += 1000
		if at := w.mono; c.steps != steps+1 {
			t.Errorf("a step of %d: %d counted", step, c.steps-steps)
		} else if got, ok := receive(at); !ok || max(got-at, at-got) > 1000 {
			t.Errorf("after a step of %d: %d, %v, expected %d", step, got, ok, at)
		}
	}
}

func TestHeads(t *testing.T) {
	for _, c := range []struct {
		text string
		want head
		used int
		bad  bool
	}{
		{text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\nx", want: head{status: 200, length: -1, chunked: true, sse: true}, used: 80},
		{text: "HTTP/1.0 503 No\nretry-after:3 \ncontent-length: 4\n\nbody", want: head{status: 503, length: 4, close: true, retryAfter: "3"}, used: 50},
		{text: "HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n", want: head{status: 200, length: -1, close: true}, used: 38},
		{text: "HTTP/1.1 200 OK\r\nX"},
		{text: "HT"},
		{text: "SSH-2.0", bad: true},
		{text: "HTTP/1.1 abc OK\r\n\r\n", bad: true},
		{text: "HTTP/1.1\r\n\r\n", bad: true},
		{text: "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", bad: true},
		{text: "HTTP/" + strings.Repeat("x", mostHeadBytes), bad: true},
	} {
		got, used, err := parseHead([]byte(c.text))
		if c.bad != (err != nil) || err == nil && (used != c.used || used > 0 && got != c.want) {
			t.Errorf("%.40q: %+v, %d, %v", c.text, got, used, err)
		}
	}
}

func TestBrokenChunks(t *testing.T) {
	for text, want := range map[string]bool{
		"5\r\nhello\r\n0\r\n\r\n": true, "5;a=b\nhello\n0\nTrailer: x\n\n": true, "0005\r\nhello\r\n000\r\n\r\n": true,
		"5\r\nhelloX\r\n": false, "\r\n": false, "g\r\n": false, "5x\r\n": false, "11111111111111111\r\n": false, "-1\r\n": false,
	} {
		f := newFraming(head{chunked: true, status: 200, length: -1})
		var got []byte
		var err error
		for rest := []byte(text); len(rest) > 0 && err == nil && !f.done(); {
			payload, used, e := f.next(rest)
			got, rest, err = append(got, payload...), rest[used:], e
		}
		if want != (err == nil && f.done() && string(got) == "hello") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestSpread: tokens known in sum only are divided evenly and none is lost.
func TestSpread(t *testing.T) {
	for _, total := range []int64{0, 1, 7, 32, 33, 100} {
		chunks := make([]sdk.Chunk, 7)
		spread(chunks, total)
		var sum int64
		for _, c := range chunks {
			if sum += int64(c.Tokens); int64(c.Tokens) < total/7 || int64(c.Tokens) > total/7+1 {
				t.Errorf("%d over 7: %v", total, chunks)
			}
		}
		if sum != total {
			t.Errorf("%d over 7 gives %d", total, sum)
		}
	}
}

// TestReportSays which bound was crossed.
func TestReportSays(t *testing.T) {
	healthy := Report{Requests: 10, DurationNs: 1e9, Reads: 1000, Chunks: 1000, DelayP99Ns: 2e6, LatenessP99Ns: 2e5, ThreadCPUShare: 0.3}
	if w := healthy.Warnings(); len(w) != 0 {
		t.Errorf("a healthy client: %v", w)
	}
	for want, change := range map[string]func(*Report){
		"late": func(r *Report) { r.LatenessP99Ns = 3e6 }, "behind the kernel": func(r *Report) { r.DelayP99Ns = 9e6 },
		"of a core": func(r *Report) { r.ThreadCPUShare = 0.95 }, "share the stamp": func(r *Report) { r.MergedEvents = 100 },
		"no kernel stamp": func(r *Report) { r.FallbackStamps = 500 },
	} {
		r := healthy
		change(&r)
		if w := r.Warnings(); len(w) != 1 || w[0].Code != "client_limited" || !strings.Contains(w[0].Message, want) {
			t.Errorf("%s: %v", want, w)
		}
	}
	r := healthy
	r.ClockSteps, r.UserStamps, r.FallbackStamps = 1, true, 1000
	if w := r.Warnings(); len(w) != 1 || w[0].Code != "client_clock_step" {
		t.Errorf("%v", w)
	}
	if h := r.Health(sdk.LoopOpen); h.StampSource != sdk.StampUser || h.DelayP99Ns != nil || h.FallbackStamps != nil || *h.LatenessP99Ns != 2e5 {
		t.Errorf("with the client's own stamps: %+v", h)
	}
	if h := healthy.Health(sdk.LoopClosed); h.StampSource != sdk.StampKernel || h.LatenessP99Ns != nil || *h.DelayP99Ns != 2e6 || *h.ThreadCPUShare != 0.3 || *h.Reads != 1000 {
		t.Errorf("a closed loop: %+v", h)
	}
}
