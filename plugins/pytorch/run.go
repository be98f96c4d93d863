package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
)

// passCall is a pass as the worker gets it; the prompts' ids are its raw data.
type passCall struct {
	PromptLengths []int    `json:"prompt_lengths"`
	MaxTokens     []uint32 `json:"max_tokens"`
	First         uint32   `json:"first"`
	Exact         bool     `json:"exact"`
	EveryStep     bool     `json:"every_step"`
	Sampling      sampling `json:"sampling"`
}

type sampling struct {
	Temperature float64 `json:"temperature"`
	TopP        float64 `json:"top_p"`
	TopK        uint32  `json:"top_k"`
	Seed        int64   `json:"seed"`
}

func newSampling(s sdk.Sampling) sampling {
	return sampling{Temperature: s.Temperature, TopP: s.TopP, TopK: s.TopK, Seed: s.Seed}
}

// passAnswer is what a pass brought; the ids of all outputs, in the order of the
// requests, are its raw data.
type passAnswer struct {
	BeginNs int64   `json:"begin_ns"`
	EndNs   int64   `json:"end_ns"`
	Rows    []row   `json:"rows"`
	Batches []batch `json:"batches"`
	Padding int64   `json:"padding_tokens"`
	Aborted bool    `json:"aborted"`
	Outputs uint32  `json:"outputs"` // sum over the ids, by which ranks are held against each other
}

// batch is one static batch. Stamps has one for each step, if asked for and if
// each step made one token of each sequence: speculation makes several.
type batch struct {
	BeginNs         int64   `json:"begin_ns"`
	FirstNs         int64   `json:"first_ns"`
	EndNs           int64   `json:"end_ns"`
	Stamps          []int64 `json:"stamps"`
	Steps           int     `json:"steps"`
	PromptPositions uint32  `json:"prompt_positions"`
	Rows            uint32  `json:"rows"`
}

// Run implements sdk.Backend.
func (b *backend) Run(ctx context.Context, run *sdk.Run) error {
	if b.continuous {
		return b.serve(ctx, run)
	}
	if loop := run.Spec().Loop; loop != sdk.LoopBatch {
		return &sdk.Error{Code: sdk.UnsupportedFeature, Message: fmt.Sprintf("static batches cannot be driven with a %s loop", loop), Advice: `use mode = "batch", or batching = "continuous"`}
	}
	for pass := range run.Passes(ctx) {
		if err := b.runPass(ctx, run, pass); err != nil {
			return err
		}
	}
	return nil
}

func (b *backend) runPass(ctx context.Context, run *sdk.Run, pass *sdk.Pass) error {
	call, data := newPassCall(run, pass)
	answers := make([]passAnswer, b.workers.Size())
	out, err := b.call(ctx, "pass", call, data, pointers(answers)...)
	if err != nil {
		return err
	}
	answer := answers[0]
	for rank := range answers {
		if answers[rank].Outputs != answer.Outputs {
			return &sdk.Error{Code: sdk.Internal, Message: fmt.Sprintf("ranks 0 and %d gave different tokens in one pass", rank), Advice: "compare their GPUs and the versions of torch; the trial's log has what they printed"}
		}
	}
	if len(answer.Rows) != len(pass.Items) {
		return fmt.Errorf("the worker answered for %d of %d requests", len(answer.Rows), len(pass.Items))
	}
	pass.BeginAt(answer.BeginNs)
	for i, item := range pass.Items {
		c := sdk.Completion{Request: pass.First + uint32(i), IntendedNs: answer.BeginNs, SentNs: answer.BeginNs, PromptTokens: uint32(len(item.TokenIDs))}
		r := answer.Rows[i]
		if !r.ran {
			c.FinishReason = "aborted" // before its batch began
			run.Complete(c)
			continue
		}
		if out, err = answer.complete(&c, r, out, run.Spec().Record); err != nil {
			return err
		}
		run.Complete(c)
	}
	for _, batch := range answer.Batches {
		batch.tell(run)
	}
	pass.Padding(answer.Padding)
	if len(answer.Batches) == 1 && !answer.Aborted {
		pass.PrefillEndAt(answer.Batches[0].FirstNs)
	}
	pass.EndAt(answer.EndNs)
	return nil
}

func newPassCall(run *sdk.Run, pass *sdk.Pass) (passCall, []byte) {
	work, spec := run.Work(), run.Spec()
	call := passCall{
		First: pass.First, Exact: work.ExactLengths, EveryStep: spec.Record != sdk.RecordRequest || spec.RecordSteps,
		Sampling: newSampling(work.Sampling),
	}
	var data []byte
	for _, item := range pass.Items {
		call.PromptLengths = append(call.PromptLengths, len(item.TokenIDs))
		call.MaxTokens = append(call.MaxTokens, item.MaxTokens)
		data = appendIDs(data, item.TokenIDs)
	}
	return call, data
}

func appendIDs(data []byte, ids []uint32) []byte {
	for _, id := range ids {
		data = binary.LittleEndian.AppendUint32(data, id)
	}
	return data
}

func readIDs(data []byte) []uint32 {
	ids := make([]uint32, len(data)/4)
	for i := range ids {
		ids[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return ids
}

// complete fills in a request's outcome and returns the ids after its own.
func (a *passAnswer) complete(c *sdk.Completion, r row, out []byte, record sdk.Record) ([]byte, error) {
	if r.batch >= len(a.Batches) || len(out) < 4*r.tokens {
		return nil, errors.New("the worker's answer to a pass is inconsistent")
	}
	ids := readIDs(out[:4*r.tokens])
	batch := a.Batches[r.batch]
	hash := sdk.OutputHash(ids)
	c.SentNs = batch.BeginNs
	c.OutputTokens, c.FinishReason, c.OutputHash, c.CachedPromptTokens = uint32(r.tokens), r.reason, &hash, new(uint32)
	if r.tokens > 0 {
		c.FirstNs, c.LastNs = batch.FirstNs, batch.lastOf(r.tokens)
	}
	if record != sdk.RecordRequest && r.tokens > 0 {
		c.Chunks = batch.chunks(r.tokens)
	}
	return out[4*r.tokens:], nil
}

// lastOf is when the last of a sequence's tokens was on the device.
func (b batch) lastOf(tokens int) int64 {
	if len(b.Stamps) >= tokens {
		return b.Stamps[tokens-1]
	}
	return b.EndNs
}

func (b batch) chunks(tokens int) []sdk.Chunk {
	if len(b.Stamps) < tokens {
		return nil
	}
	list := make([]sdk.Chunk, tokens)
	for i := range list {
		list[i] = sdk.Chunk{MonoNs: b.Stamps[i], Tokens: 1}
	}
	return list
}

// tell records the batch's steps, if the host asked for them.
func (b batch) tell(run *sdk.Run) {
	for i, stamp := range b.Stamps {
		step := sdk.Step{EndNs: stamp, DecodeTokens: b.Rows}
		if i == 0 {
			step = sdk.Step{EndNs: stamp, PrefillTokens: b.PromptPositions}
		}
		run.Step(step)
	}
}
