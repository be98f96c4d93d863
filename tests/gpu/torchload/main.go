// Command torchload is a backend for tests on a real GPU: a steady CUDA load
// through torch, in static batches whose phases are known. A pass is some large
// matrix products (prefill) and then many thin ones (decode). It serves no model.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

//go:embed worker.py
var worker string

func main() { serve.Backend(&load{}) }

// load is a backend around one worker process.
type load struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder

	prefillPerPass, stepsPerToken int64
}

// Describe implements sdk.Backend.
func (l *load) Describe() sdk.Description {
	return sdk.Description{
		Name: "torchload", Version: "0.1.0", Doc: "A steady CUDA load through torch, for tests of the measuring.",
		Parameters: []sdk.Parameter{
			sdk.Int("size").Or(8192).Between(256, 32768).Doc("Side of the square matrices."),
			sdk.Int("decode_rows").Or(65536).Between(256, 1<<20).Doc("Rows that one decode step reads."),
			sdk.Int("prefill_products").Or(100).Between(1, 1_000_000).Doc("Large products of one pass."),
			sdk.Int("steps_per_token").Or(10).Between(1, 1_000_000).Doc("Thin products of one output token."),
			sdk.Text("zeus_log").Or("").For(sdk.RoleExecution).Doc("File for what Zeus measures of each pass; empty = without Zeus."),
		},
		Abilities: sdk.Abilities{Edge: sdk.EdgeDeviceSync, MaxCancelMs: 60_000},
	}
}

// answer is a line of the worker.
type answer struct {
	UUID, Torch, CUDA, Device string
	PID                       int64
	Begin, First, End         int64
}

// Load implements sdk.Backend.
func (l *load) Load(_ context.Context, req sdk.LoadRequest, progress *sdk.Progress) (sdk.LoadReport, error) {
	defer progress.Begin(sdk.StageStart, "start the worker")()
	p := req.Cell.Parameters
	l.prefillPerPass, l.stepsPerToken = p.Int("prefill_products", 100), p.Int("steps_per_token", 10)
	l.process = exec.Command("python3", "-c", worker)
	l.process.Stderr = os.Stderr
	var err error
	if l.in, err = l.process.StdinPipe(); err != nil {
		return sdk.LoadReport{}, fmt.Errorf("torchload: %w", err)
	}
	out, err := l.process.StdoutPipe()
	if err != nil {
		return sdk.LoadReport{}, fmt.Errorf("torchload: %w", err)
	}
	l.out = json.NewDecoder(bufio.NewReader(out))
	if err := l.process.Start(); err != nil {
		return sdk.LoadReport{}, fmt.Errorf("torchload: start python3: %w", err)
	}
	a, err := l.ask(map[string]any{
		"size": p.Int("size", 8192), "decode_rows": p.Int("decode_rows", 65536), "batch": 16, "zeus_log": p.String("zeus_log", ""),
	})
	if err != nil {
		return sdk.LoadReport{}, fmt.Errorf("torchload: the worker did not start: %w", err)
	}
	vocab := uint32(32000)
	return sdk.LoadReport{
		Engine: "torchload", EngineVersion: "0.1.0", Packages: []sdk.Package{{Name: "torch", Version: a.Torch}, {Name: "cuda", Version: a.CUDA}},
		Resolved: p, Model: sdk.ModelIdentity{Base: "torchload", Vocab: &vocab, RandomWeights: true},
		Devices: []sdk.DeviceUse{{ID: a.UUID, Kind: "gpu", PID: a.PID}},
	}, nil
}

func (l *load) ask(command any) (answer, error) {
	text, err := json.Marshal(command)
	if err != nil {
		return answer{}, err
	}
	if _, err := l.in.Write(append(text, '\n')); err != nil {
		return answer{}, err
	}
	var a answer
	err = l.out.Decode(&a)
	return a, err
}

// Run implements sdk.Backend.
func (l *load) Run(ctx context.Context, run *sdk.Run) error {
	for pass := range run.Passes(ctx) {
		tokens := int64(pass.Items[0].MaxTokens)
		a, err := l.ask(map[string]any{"prefill": l.prefillPerPass, "decode": l.stepsPerToken * max(0, tokens-1)})
		if err != nil {
			return fmt.Errorf("torchload: the worker ended: %w", err)
		}
		pass.BeginAt(a.Begin)
		pass.PrefillEndAt(a.First)
		for i, item := range pass.Items {
			run.Complete(sdk.Completion{
				Request: pass.First + uint32(i), SentNs: a.Begin, FirstNs: a.First, LastNs: a.End,
				PromptTokens: uint32(len(item.TokenIDs)), OutputTokens: item.MaxTokens, FinishReason: "length",
			})
		}
		pass.EndAt(a.End)
	}
	return nil
}

// Unload implements sdk.Backend.
func (l *load) Unload(context.Context) error {
	if l.process == nil {
		return nil
	}
	_ = l.in.Close() // the worker ends with its input
	err := l.process.Wait()
	l.process = nil
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("torchload: %w", err)
	}
	return nil
}
