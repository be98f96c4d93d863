package measure

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

func TestADrainThatTakesTooLongIsBrokenOff(t *testing.T) {
	const second = int64(1e9)
	beat := func(atS, sent, done int64) sdk.Heartbeat {
		return sdk.Heartbeat{MonoNs: atS * second, Sent: sent, Done: done}
	}
	for name, c := range map[string]struct {
		stopS int64 // when the decision says so; 0 = never
		beats []sdk.Heartbeat
		want  []sdk.StopKind
	}{
		"an engine that keeps up": {3, []sdk.Heartbeat{beat(1, 10, 5), beat(2, 20, 15), beat(3, 30, 25), beat(4, 30, 30)},
			[]sdk.StopKind{sdk.StopNone, sdk.StopNone, sdk.StopDrain, sdk.StopNone}},
		"a backlog": {3, []sdk.Heartbeat{beat(1, 50, 1), beat(2, 100, 3), beat(3, 150, 5)},
			[]sdk.StopKind{sdk.StopNone, sdk.StopNone, sdk.StopAbort}},
		"an engine that slows down in the drain": {2, []sdk.Heartbeat{beat(1, 20, 10), beat(2, 40, 20), beat(8, 40, 30), beat(11, 40, 31), beat(12, 40, 32)},
			[]sdk.StopKind{sdk.StopNone, sdk.StopDrain, sdk.StopNone, sdk.StopAbort, sdk.StopAbort}},
		"all is sent": {0, []sdk.Heartbeat{beat(1, 100, 1), beat(2, 199, 3), beat(3, 200, 5)},
			[]sdk.StopKind{sdk.StopNone, sdk.StopNone, sdk.StopAbort}},
		"a first request that takes long": {0, []sdk.Heartbeat{beat(1, 200, 0), beat(60, 200, 0), beat(61, 200, 20), beat(62, 200, 180)},
			[]sdk.StopKind{sdk.StopNone, sdk.StopNone, sdk.StopNone, sdk.StopNone}},
	} {
		d := &drain{mostNs: 10 * second, prepared: 200}
		decide := d.bound(func(v runView) sdk.StopKind {
			if c.stopS > 0 && v.nowNs >= c.stopS*second {
				return sdk.StopDrain
			}
			return sdk.StopNone
		})
		for i, b := range c.beats {
			if got := decide(runView{nowNs: b.MonoNs, beats: c.beats[:i+1]}); got != c.want[i] {
				t.Errorf("%s, beat %d: %q, want %q", name, i, got, c.want[i])
			}
		}
	}
}

// brokenOff is what is left of a Run of which nothing was heard after a stamp.
func brokenOff(done []sdk.Completion, atNs int64) (result.Run, []sdk.Completion) {
	var kept []sdk.Completion
	for _, c := range done {
		if c.SentNs > atNs {
			continue
		}
		if c.LastNs > atNs {
			chunks := c.Chunks
			c.Chunks, c.OutputTokens, c.FirstNs, c.LastNs, c.FinishReason = nil, 0, 0, 0, "aborted"
			for _, chunk := range chunks {
				if chunk.MonoNs <= atNs {
					c.Chunks = append(c.Chunks, chunk)
					c.LastNs = chunk.MonoNs
					c.OutputTokens += chunk.Tokens
				}
			}
			if len(c.Chunks) > 0 {
				c.FirstNs = c.Chunks[0].MonoNs
			}
		}
		kept = append(kept, c)
	}
	return result.Run{EndNs: atNs, Reason: sdk.FinishAborted}, kept
}

// A Run that was broken off has the windows of one that drained, and its overload
// is found, also where nothing that arrived in a window ever ended.
func TestARunThatWasBrokenOffHasItsWindows(t *testing.T) {
	for _, l := range []study.LoadSpec{
		{Mode: "constant", Rate: 11}, {Mode: "poisson", Rate: 16}, {Mode: "gamma", Rate: 20, Burstiness: 0.5}, {Mode: "poisson", Rate: 60},
	} {
		c := openCell(l, 30)
		s := schedule{mode: l.Mode, ratePerS: l.Rate, burstiness: l.Burstiness, seed: 3}
		offsets := s.offsets(int(l.Rate * 70))
		whole := server.serve(offsets, 0).done
		run, cutOff := brokenOff(whole, 62e9)
		want := cutArrivals(whole, step(c), 20e9, 30e9, 1)
		got := cutArrivals(untilEnd(run, cutOff), step(c), 20e9, 30e9, 1)
		if diff := cmp.Diff(want, got); diff != "" || len(got) != 1 {
			t.Errorf("%+v: windows (-drained +broken off):\n%s", l, diff)
			continue
		}
		a := arrivals(cutOff, got[0].FromNs, got[0].ToNs)
		if a.LagGrowth == nil {
			t.Errorf("%+v: %+v", l, a)
			continue
		}
		over := *a.LagGrowth > 0.05 && *a.LagGrowth > 3**a.LagGrowthError
		t.Logf("%+v: the lag grows by %.3f ± %.3f", l, *a.LagGrowth, *a.LagGrowthError)
		if over != (l.Rate > 12) {
			t.Errorf("%+v: overload %v", l, over)
		}
	}
}

// An overloaded open loop ends soon after its window; every request that was sent
// is on record.
func TestAnOverloadedRunEndsSoon(t *testing.T) {
	r := newRig(t, "").each(func(c *study.Cell) {
		// 50 requests/s can be served.
		c.Load = study.LoadSpec{Mode: "constant", Rate: 400}
		c.Protocol.WindowS = 0.4
	})
	r.options.waits.drain = 400 * time.Millisecond
	got := r.one()
	wantCode(t, got, "drain_cut/info")
	wantExcluded(t, got, "overload")
	if got.Run.Reason != sdk.FinishAborted {
		t.Errorf("the Run ended with %q", got.Run.Reason)
	}
	requests, err := result.ReadRequests(filepath.Join(r.options.Dir.Path(), "runs", "a-b0"))
	if err != nil {
		t.Fatal(err)
	}
	brokenOff, sent := 0, map[uint32]bool{}
	for i, q := range requests {
		if q.FinishReason == "aborted" {
			brokenOff++
		}
		sent[q.Request] = true
		if i > 0 && len(sent) != i+1 {
			t.Fatalf("request %d is there twice", q.Request)
		}
	}
	most := uint32(0)
	for request := range sent {
		most = max(most, request)
	}
	if int64(len(requests)) != got.Run.Requests || int(most)+1 != len(requests) || brokenOff < len(requests)/2 {
		t.Errorf("%d requests on disk up to %d, %d broken off, %d in the record", len(requests), most, brokenOff, got.Run.Requests)
	}
	if took, all := got.Run.EndNs-got.Run.BeginNs, got.Run.Requests*20e6; took > all/2 {
		t.Errorf("the Run took %.1f s, and to serve all would have taken %.1f s", float64(took)/1e9, float64(all)/1e9)
	}
	if w := got.Windows[0]; strings.Contains(codes(got), "work_mismatch") || w.Requests < 10 {
		t.Errorf("a window of %d requests, and %s", w.Requests, codes(got))
	}
}
