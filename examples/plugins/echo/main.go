// Command echo is a backend as a third party would write it: its "engine"
// waits a fixed time for each token and gives the prompt back.
package main

import (
	"context"
	"runtime"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

func main() { serve.Backend(&echo{}) }

type echo struct{ perToken time.Duration }

func (e *echo) Describe() sdk.Description {
	return sdk.Description{
		Name: "echo", Version: "0.1.0", Doc: "Gives the prompt back, one token at a time.",
		Parameters: []sdk.Parameter{
			sdk.Int("token_us").Unit("µs").Or(200).Between(0, 1_000_000).Doc("Time for each token."),
		},
		Abilities: sdk.Abilities{Edge: sdk.EdgeQuiesced, MaxCancelMs: 1000},
	}
}

func (e *echo) Load(_ context.Context, req sdk.LoadRequest, _ *sdk.Progress) (sdk.LoadReport, error) {
	us := req.Cell.Parameters.Int("token_us", 200)
	e.perToken = time.Duration(us) * time.Microsecond
	return sdk.LoadReport{Engine: "echo", EngineVersion: "0.1.0", Resolved: sdk.Table{"token_us": us}}, nil
}

func (e *echo) Run(ctx context.Context, run *sdk.Run) error {
	for pass := range run.Passes(ctx) {
		for i, item := range pass.Items {
			done := sdk.Completion{Request: pass.First + uint32(i), SentNs: sdk.MonoNow(), PromptTokens: uint32(len(item.TokenIDs)), FinishReason: "length"}
			due := done.SentNs
			for range item.MaxTokens {
				if ctx.Err() != nil {
					done.FinishReason = "aborted"
					break
				}
				due += e.perToken.Nanoseconds()
				wait(due)
				done.LastNs = sdk.MonoNow()
				if done.FirstNs == 0 {
					done.FirstNs = done.LastNs
				}
				done.OutputTokens++
			}
			run.Complete(done)
		}
	}
	return nil
}

// wait returns at a stamp and not, as a sleep of a short time may, a millisecond
// later: what token_us says has to be true.
func wait(untilNs int64) {
	time.Sleep(time.Duration(untilNs-sdk.MonoNow()) - 2*time.Millisecond)
	for sdk.MonoNow() < untilNs {
		runtime.Gosched()
	}
}

func (e *echo) Unload(context.Context) error { return nil }
