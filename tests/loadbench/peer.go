package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
)

// peerResult is what peers.py puts beside the figures of other clients.
type peerResult struct {
	Requests  int     `json:"requests"`
	Failed    int     `json:"failed"`
	PromptTok int     `json:"prompt_tokens"`
	OutputTok int     `json:"output_tokens"`
	WindowS   float64 `json:"window_s"`
	TTFTMs    float64 `json:"ttft_ms"`
	TPOTMs    float64 `json:"tpot_ms"`
	E2EMs     float64 `json:"e2e_ms"`
}

// peer offers a real server one load and prints what came back.
func peer(args []string) error {
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	url, model := flags.String("url", "", "of the server"), flags.String("model", "", "as the server calls it")
	n, in, out := flags.Int("requests", 64, ""), flags.Int("in", 128, "tokens"), flags.Int("out", 32, "tokens")
	concurrency, rate := flags.Int("concurrency", 4, "of a closed loop"), flags.Float64("rate", 0, "requests/s of a Poisson process instead")
	seed := flags.Uint64("seed", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	work := &sdk.Work{ExactLengths: true}
	var arrival float64
	for range *n {
		item := sdk.WorkItem{MaxTokens: uint32(*out), ArrivalOffsetNs: int64(arrival * 1e9)}
		for range *in {
			item.TokenIDs = append(item.TokenIDs, 100+random.Uint32N(1900))
		}
		if *rate > 0 {
			arrival += random.ExpFloat64() / *rate
		}
		work.Items = append(work.Items, item)
	}
	g, err := loadgen.New(context.Background(), loadgen.Options{URL: *url, Model: *model, Dialect: loadgen.VLLM()})
	if err != nil {
		return err
	}
	spec := sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: uint32(*concurrency), Record: sdk.RecordRequest}
	if *rate > 0 {
		spec.Loop = sdk.LoopOpen
	}
	var all sdk.Completions
	run := sdk.NewRun(spec, work, func(e sdk.RunEvent) {
		if done, ok := e.(sdk.Completions); ok {
			all = append(all, done...)
		}
	})
	if _, err := g.Run(context.Background(), run); err != nil {
		return err
	}
	if _, err := run.Finish(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(average(all))
}

func average(all sdk.Completions) (r peerResult) {
	first, last := int64(0), int64(0)
	for _, c := range all {
		if c.Failed() {
			fmt.Fprintln(os.Stderr, c.Error)
			r.Failed++
			continue
		}
		if first == 0 || c.SentNs < first {
			first = c.SentNs
		}
		last = max(last, c.LastNs)
		r.Requests++
		r.PromptTok += int(c.PromptTokens)
		r.OutputTok += int(c.OutputTokens)
		r.TTFTMs += float64(c.FirstNs-c.SentNs) / 1e6
		r.TPOTMs += float64(c.LastNs-c.FirstNs) / 1e6 / float64(max(2, c.OutputTokens)-1)
		r.E2EMs += float64(c.LastNs-c.SentNs) / 1e6
	}
	of := float64(max(1, r.Requests))
	r.TTFTMs, r.TPOTMs, r.E2EMs, r.WindowS = r.TTFTMs/of, r.TPOTMs/of, r.E2EMs/of, float64(last-first)/1e9
	return r
}
