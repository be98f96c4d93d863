package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// counted is what a server's counters rose by over a Run.
type counted struct {
	prompt, output, cached        int64
	requests, firsts, gaps        float64
	ttftS, perOutputTokenS, waitS float64 // sums over the requests
}

func countersOf(t *testing.T, run *result.Run) counted {
	t.Helper()
	named := map[string]float64{}
	for sign, counters := range map[float64]*sdk.Counters{-1: run.Before, 1: run.After} {
		for _, m := range counters.Named {
			named[m.Name] += sign * m.Value
		}
	}
	return counted{
		prompt: *run.After.PromptTokens - *run.Before.PromptTokens, output: *run.After.OutputTokens - *run.Before.OutputTokens,
		cached:   *run.After.CachedPromptTokens - *run.Before.CachedPromptTokens,
		requests: named["vllm:request_success_total"], firsts: named["vllm:time_to_first_token_seconds_count"], gaps: named["vllm:inter_token_latency_seconds_count"],
		ttftS: named["vllm:time_to_first_token_seconds_sum"], perOutputTokenS: named["vllm:request_time_per_output_token_seconds_sum"], waitS: named["vllm:request_queue_time_seconds_sum"],
	}
}

// lengths of the requests of a cell, which all have the same.
func lengths(trial result.Trial) (input, output int64) {
	switch _, shape, _ := strings.Cut(trial.Cell.Label, "shape="); shape {
	case "long-output":
		return 32, 256
	case "long-input":
		return 1536, 16
	case "long-both":
		return 1536, 256
	}
	return 512, 128
}

// In each Run that is stored, vLLM counted on a real GPU what llem did: requests, first
// tokens, tokens in and out, gaps between tokens. Its TTFT is below that of the client,
// which has the way to and from the server in it, too.
func TestServerCountedWhatWasStored(t *testing.T) {
	runs, chunked := 0, 0
	for _, name := range []string{"h200-vllm-1-128", "h200-vllm-8-32", "h200-vllm-attached"} {
		trials, _, problems := result.ReadTrials(filepath.Join(results, name))
		if len(problems) > 0 {
			t.Fatal(problems[0])
		}
		for _, trial := range trials {
			c, n := countersOf(t, trial.Run), trial.Run.Requests
			input, output := lengths(trial)
			if int64(c.requests) != n || int64(c.firsts) != n || c.prompt != n*input || c.output != n*output || int64(c.gaps) != n*(output-1) || c.cached != 0 || trial.Run.Failed != 0 {
				t.Errorf("%s %s: the server counted %+v, the Run had %d requests of %d and %d tokens", name, trial.Dir, c, n, input, output)
			}
			runs++
			requests, err := result.ReadRequests(filepath.Join(results, name, trial.Dir))
			if err != nil {
				t.Fatal(err)
			}
			if holdRequests(t, name+" "+trial.Cell.Label, requests, c) {
				chunked++
			}
		}
	}
	if runs != 28 || chunked != 22 { // stamps of chunks were left out of six for their size
		t.Errorf("%d Runs, %d with stamps of chunks", runs, chunked)
	}
}

// holdRequests holds the requests of a Run against the server's counters, and says
// whether it has stamps of chunks.
func holdRequests(t *testing.T, name string, requests []result.Request, c counted) (chunked bool) {
	t.Helper()
	var n, prompt, output, chunks int64
	var ttftS, perOutputTokenS float64
	for _, r := range requests {
		if r.Run != "measured" {
			continue
		}
		n, prompt, output = n+1, prompt+int64(r.PromptTokens), output+int64(r.OutputTokens)
		for _, chunk := range r.Chunks {
			chunks += int64(chunk.Tokens)
		}
		ttftS += float64(r.FirstNs-r.SentNs) / 1e9
		perOutputTokenS += float64(r.LastNs-r.FirstNs) / 1e9 / float64(r.OutputTokens-1)
	}
	if n != int64(c.requests) || prompt != c.prompt || output != c.output || chunks > 0 && chunks != c.output {
		t.Errorf("%s: %d requests, %d and %d tokens, %d in chunks; the server counted %+v", name, n, prompt, output, chunks, c)
	}
	ttft, tpot := 1e3*ttftS/float64(n), 1e3*perOutputTokenS/float64(n)
	serverTTFT, serverTPOT := 1e3*c.ttftS/c.requests, 1e3*c.perOutputTokenS/c.requests
	t.Logf("%s: TTFT %.2f ms (server %.2f, waiting %.2f), TPOT %.4f ms (server %.4f)", name, ttft, serverTTFT, 1e3*c.waitS/c.requests, tpot, serverTPOT)
	if late := ttft - serverTTFT; late < 0 || late > 100 || math.Abs(tpot/serverTPOT-1) > 0.02 {
		t.Errorf("%s: TTFT %.3f ms, the server's %.3f; TPOT %.4f ms, the server's %.4f", name, ttft, serverTTFT, tpot, serverTPOT)
	}
	return chunks > 0
}
