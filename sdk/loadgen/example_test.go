package loadgen_test

import (
	"context"
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
	"github.com/llenergymeasure/llem/sdk/loadgen/mockserver"
)

// engine is the part of a backend that concerns traffic; its other methods start
// and stop a server.
type engine struct {
	generator *loadgen.Generator
	report    loadgen.Report
}

func (e *engine) connect(ctx context.Context, url string) (err error) {
	dialect := loadgen.VLLM()
	dialect.Extra["detokenize"] = false // ids are enough
	e.generator, err = loadgen.New(ctx, loadgen.Options{URL: url, Model: "m", Dialect: dialect})
	return err
}

// Prepare is the backend's: requests are rendered before any window.
func (e *engine) Prepare(ctx context.Context, work *sdk.Work) error {
	return e.generator.Prepare(ctx, work)
}

// Run is the backend's.
func (e *engine) Run(ctx context.Context, run *sdk.Run) (err error) {
	e.report, err = e.generator.Run(ctx, run)
	for _, w := range e.report.Warnings() {
		if w.Code != "client_limited" { // this machine may be busy
			fmt.Println(w.Code)
		}
	}
	return err
}

func Example() {
	server, err := mockserver.Start(mockserver.Options{Mode: mockserver.WrongUsage})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ctx := context.Background()
	e := &engine{}
	work := &sdk.Work{ExactLengths: true, Items: []sdk.WorkItem{
		{TokenIDs: []uint32{5, 6, 7}, MaxTokens: 4},
		{TokenIDs: []uint32{8, 9}, MaxTokens: 6},
	}}
	if err := e.connect(ctx, server.URL()); err != nil {
		fmt.Println(err)
		return
	}
	if err := e.Prepare(ctx, work); err != nil {
		fmt.Println(err)
		return
	}
	// The host makes the Run; package serve calls the backend with it.
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 2, Record: sdk.RecordChunk}, work, func(sdk.RunEvent) {})
	if err := e.Run(ctx, run); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d requests, %d failed: %d tokens by ids, %d by usage\n", e.report.Requests, e.report.Failed, e.report.IDTokens, e.report.UsageTokens)
	// Output:
	// token_count_disagrees
	// 2 requests, 0 failed: 10 tokens by ids, 12 by usage
}
