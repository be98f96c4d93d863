package loadgen

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen/mockserver"
)

// TestModes meets each way in which servers answer: what is right is counted
// exactly, what is wrong is named, and nothing is lost.
func TestModes(t *testing.T) {
	text := VLLM()
	text.IDs = ""
	oneShot := VLLM()
	oneShot.OneShot = true
	for _, c := range []struct {
		mode     mockserver.Mode
		dialect  Dialect
		tokens   uint32 // 0 = 8
		chunks   int    // 0 = 8
		noHash   bool
		failure  string // how the error begins
		warnings string // codes that the report must have
	}{
		{mode: mockserver.Normal},
		{mode: mockserver.TwoTokens, chunks: 4},
		{mode: mockserver.NoIDs, noHash: true},
		{mode: mockserver.NoIDsTwoTokens, chunks: 4, noHash: true, warnings: "token_count_disagrees"},
		{mode: mockserver.ContinuousUsage, chunks: 4, noHash: true},
		{mode: mockserver.Cumulative, dialect: SGLangNative()},
		{mode: mockserver.HeldBack, dialect: LlamaCppNative(), chunks: 7, noHash: true},
		{mode: mockserver.FinishWithUsage, dialect: LlamaCpp(), noHash: true},
		{mode: mockserver.CloseAfter, dialect: oneShot},
		{mode: mockserver.IndexUp},
		{mode: mockserver.EmptyEvents},
		{mode: mockserver.EmptyEvents, dialect: text, noHash: true},
		{mode: mockserver.CRLF},
		{mode: mockserver.Split},
		{mode: mockserver.Coalesced, warnings: "client_limited"},
		{mode: mockserver.Untold},
		{mode: mockserver.HugeEvent},
		{mode: mockserver.InvalidUTF8},
		{mode: mockserver.Unclean, warnings: "unclean_ends"},
		{mode: mockserver.NoUsage},
		{mode: mockserver.WrongUsage, warnings: "token_count_disagrees"},
		{mode: mockserver.MadUsage, failure: "too_many_tokens: "},
		{mode: mockserver.Fewer, tokens: 7, chunks: 7, warnings: "output_length_differs"},
		{mode: mockserver.More, tokens: 9, chunks: 9, warnings: "output_length_differs"},
		{mode: mockserver.Duplicated, tokens: 9, chunks: 9, warnings: "token_count_disagrees output_length_differs"},
		{mode: mockserver.Reordered},
		{mode: mockserver.Strict, dialect: TensorRT()},
		{mode: mockserver.Strict, failure: "http_400: {\"error\":\"return_token_ids"},
		{mode: mockserver.Cut, failure: "stream_cut: "},
		{mode: mockserver.CutInEvent, failure: "stream_cut: "},
		{mode: mockserver.CutNicely, failure: "stream_cut: "},
		{mode: mockserver.ErrorEvent, failure: "error_event: {\"message\":\"EngineCore died"},
		{mode: mockserver.GivenUp, failure: "server_aborted: the server ended the request as \"abort\" after 4 events"},
		{mode: mockserver.GivenUpSoon, failure: "server_aborted: the server ended the request without output"},
		{mode: mockserver.Busy, failure: "http_429: {\"error\":\"busy\"} (Retry-After: 2)"},
		{mode: mockserver.Broken, failure: "http_500: "},
		{mode: mockserver.NoStream, failure: "not_a_stream: "},
		{mode: mockserver.NotHTTP, failure: "http_protocol: "},
		{mode: mockserver.NoAnswer, failure: "connection_lost: "},
		{mode: mockserver.BadChunk, warnings: "request_errors", failure: "http_protocol: "},
		{mode: mockserver.Endless, failure: "too_many_tokens: "},
		{mode: mockserver.Stall, failure: "stalled: "},
		{mode: mockserver.BrokenEvent, tokens: 7, chunks: 7, warnings: "broken_events token_count_disagrees"},
	} {
		t.Run(string(c.mode), func(t *testing.T) {
			server := start(t, mockserver.Options{Mode: c.mode})
			r := newRig(sdk.LoopClosed, 8)
			if c.dialect.Path != "" {
				r.options.Dialect = c.dialect
			}
			if c.mode == mockserver.Stall {
				r.options.Stall = 50 * time.Millisecond
			}
			out := r.run(t, t.Context(), server.URL())
			if out.err != nil || len(out.completions) != 8 || out.finished.Reason != sdk.FinishWorkUsedUp {
				t.Fatalf("%d completions, %v, ended as %s", len(out.completions), out.err, out.finished.Reason)
			}
			for i, done := range out.completions {
				if c.failure != "" {
					if !strings.HasPrefix(done.Error, c.failure) {
						t.Errorf("request %d failed as %q, expected %q", i, done.Error, c.failure)
					}
					continue
				}
				tokens, chunks := orElse(c.tokens, 8), orElse(c.chunks, 8)
				if done.Failed() || done.OutputTokens != tokens || len(done.Chunks) != chunks || done.PromptTokens != 3 || done.FinishReason != "length" {
					t.Errorf("request %d: %+v", i, done)
				}
				if c.noHash != (done.OutputHash == nil) {
					t.Errorf("request %d has the hash %v", i, done.OutputHash)
				}
				if (c.mode == mockserver.Normal || c.mode == mockserver.Cumulative) && *done.OutputHash != expectedHash(r.work.Items[i]) {
					t.Errorf("request %d brought other ids than were sent", i)
				}
			}
			for code := range strings.FieldsSeq(c.warnings) {
				if !hasWarning(out.report, code) {
					t.Errorf("no warning %s in %v", code, out.report.Warnings())
				}
			}
			if c.failure == "" && c.warnings == "" {
				for _, w := range out.report.Warnings() {
					if w.Code != "client_limited" { // a loaded machine may be
						t.Errorf("unexpected: %v", w)
					}
				}
			}
			if c.failure != "" && (out.report.Failed != 8 || !hasWarning(out.report, "request_errors")) {
				t.Errorf("%d of 8 failed, %v", out.report.Failed, out.report.Warnings())
			}
		})
	}
}

// An answer of natural length may end early by itself; one that is cut short, or any
// other length where all are exact, is told.
func TestOtherLengths(t *testing.T) {
	for _, c := range []struct {
		mode  mockserver.Mode
		exact bool
		told  int64
	}{{mockserver.Ends, true, 4}, {mockserver.Ends, false, 0}, {mockserver.Fewer, false, 4}, {mockserver.More, false, 4}, {mockserver.Normal, false, 0}} {
		r := newRig(sdk.LoopClosed, 4)
		r.work.ExactLengths = c.exact
		out := r.run(t, t.Context(), start(t, mockserver.Options{Mode: c.mode}).URL())
		if out.err != nil || out.report.Failed != 0 || out.report.OtherLengths != c.told {
			t.Errorf("%q, exact %v: %+v, error %v", c.mode, c.exact, out.report, out.err)
		}
	}
}

// TestKeptConnectionClosed names a server that breaks its promise.
func TestKeptConnectionClosed(t *testing.T) {
	server := start(t, mockserver.Options{Mode: mockserver.CloseAfter})
	r := newRig(sdk.LoopClosed, 20)
	r.spec.Concurrency = 1
	out := r.run(t, t.Context(), server.URL())
	for i, done := range out.completions {
		if done.Failed() && !strings.Contains(done.Error, "OneShot") && !strings.HasPrefix(done.Error, "connection_lost") {
			t.Errorf("request %d: %s", i, done.Error)
		}
	}
}

// A server that was told to end while requests are open closes its port and may wait
// for its clients: they notice long before each request has stalled.
func TestAServerThatWaitsForItsClients(t *testing.T) {
	for _, loop := range []sdk.Loop{sdk.LoopClosed, sdk.LoopBatch, sdk.LoopOpen} {
		t.Run(string(loop), func(t *testing.T) {
			server := start(t, mockserver.Options{Mode: mockserver.Stall})
			r := newRig(loop, 4)
			if loop != sdk.LoopOpen { // there is more to be done than is in flight
				r = newRig(loop, 40)
			}
			r.options.Stall = time.Minute
			r.begun = func(run *sdk.Run) {
				go func() {
					// One that waits to be accepted would be reset by the end of listening.
					for server.Requests.Load() < 4 && t.Context().Err() == nil {
						time.Sleep(time.Millisecond)
					}
					server.StopListening()
				}()
			}
			out := r.run(t, t.Context(), server.URL())
			if !errors.Is(out.err, sdk.EngineCrashed) || len(out.completions) != 4 {
				t.Errorf("%d completions, error %v", len(out.completions), out.err)
			}
			for i, done := range out.completions {
				if !strings.HasPrefix(done.Error, "server_gone: ") || !strings.Contains(done.Error, "refused") {
					t.Errorf("request %d failed as %q", i, done.Error)
				}
			}
		})
	}
}

// A server that only takes long is left alone.
func TestASilentServerThatListens(t *testing.T) {
	server := start(t, mockserver.Options{Mode: mockserver.Stall})
	r := newRig(sdk.LoopClosed, 4)
	r.options.Stall = 2 * time.Second
	out := r.run(t, t.Context(), server.URL())
	for i, done := range out.completions {
		if !strings.HasPrefix(done.Error, "stalled: ") {
			t.Errorf("request %d failed as %q", i, done.Error)
		}
	}
	if out.err != nil || len(out.completions) != 4 || server.Connections.Load() < 5 {
		t.Errorf("%d completions on %d connections, error %v", len(out.completions), server.Connections.Load(), out.err)
	}
}

func orElse[T comparable](value, usual T) T {
	var zero T
	if value == zero {
		return usual
	}
	return value
}

func hasWarning(r Report, code string) bool {
	for _, w := range r.Warnings() {
		if w.Code == code {
			return true
		}
	}
	return false
}

func expectedHash(item sdk.WorkItem) uint64 {
	var ids []uint32
	for n := range item.MaxTokens {
		ids = append(ids, mockserver.Token(item.TokenIDs, int(n)))
	}
	return sdk.OutputHash(ids)
}
