package serve_test

import (
	"context"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// engine is a whole backend: it "generates" a token a millisecond.
type engine struct{ tokenTime time.Duration }

func (e *engine) Describe() sdk.Description {
	return sdk.Description{
		Name: "minimal", Version: "0.1.0", Doc: "A backend of the least size.",
		Parameters: []sdk.Parameter{sdk.Int("token_us").Unit("us").Or(1000).AtLeast(1).Doc("Time of one token.")},
	}
}

func (e *engine) Load(_ context.Context, req sdk.LoadRequest, progress *sdk.Progress) (sdk.LoadReport, error) {
	defer progress.Begin(sdk.StageWeights, "pretending")()
	us := req.Cell.Parameters.Int("token_us", 1000)
	e.tokenTime = time.Duration(us) * time.Microsecond
	return sdk.LoadReport{Engine: "minimal", EngineVersion: "0.1.0", Resolved: sdk.Table{"token_us": us}}, nil
}

func (e *engine) Run(ctx context.Context, run *sdk.Run) error {
	for pass := range run.Passes(ctx) {
		for i, item := range pass.Items {
			run.Complete(e.generate(ctx, pass.First+uint32(i), item))
		}
	}
	return nil
}

func (e *engine) generate(ctx context.Context, index uint32, item sdk.WorkItem) sdk.Completion {
	c := sdk.Completion{Request: index, SentNs: sdk.MonoNow(), PromptTokens: uint32(len(item.TokenIDs)), FinishReason: "length"}
	for range item.MaxTokens {
		if ctx.Err() != nil {
			c.FinishReason = "aborted"
			break
		}
		time.Sleep(e.tokenTime)
		c.LastNs = sdk.MonoNow()
		if c.OutputTokens++; c.OutputTokens == 1 {
			c.FirstNs = c.LastNs
		}
	}
	return c
}

func (e *engine) Unload(context.Context) error { return nil }

// A whole plugin: this file with its main function.
func Example() {
	serve.Backend(&engine{})
}
