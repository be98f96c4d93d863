package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/ollama/ollama/kvcache"
	"github.com/ollama/ollama/ml"
	"github.com/ollama/ollama/model"
	"github.com/ollama/ollama/model/input"
	"github.com/ollama/ollama/tokenizer"
)

// Module is the Go module that holds the kernels.
const Module = "github.com/ollama/ollama"

// Engine is a loaded model. Serve is called by one goroutine at a time;
// Counts may be called at any time.
type Engine struct {
	Facts   Facts
	Options Options

	model model.Model
	cache kvcache.Cache
	text  tokenizer.Tokenizer

	steps, promptTokens, outputTokens, scheduledTokens, runningSum atomic.Int64
}

// Counts are totals since Open.
type Counts struct {
	Steps           int64
	PromptTokens    int64 // that went through the model
	OutputTokens    int64
	ScheduledTokens int64 // rows of all steps
	RunningMean     float64
}

// Memory is what the engine allocated, in bytes.
type Memory struct {
	Weights int64
	KVCache int64
	Graph   int64 // intermediate results of a step
}

// Open loads a GGUF file. progress gets shares from 0 to 1 from several
// goroutines.
func Open(ctx context.Context, path string, o Options, progress func(share float32)) (e *Engine, err error) {
	facts, err := Inspect(path)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, p := range facts.Problems(o) {
		problems = append(problems, p)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	// Kernels of another version could otherwise be picked up from a
	// directory beside the binary.
	if err := os.Setenv("OLLAMA_LIBRARY_PATH", ""); err != nil {
		return nil, err
	}
	defer recovered("load "+path, &err)
	attention := ml.FlashAttentionDisabled
	if o.FlashAttention {
		attention = ml.FlashAttentionEnabled
	}
	m, err := model.New(path, ml.BackendParams{AllocMemory: true, NumThreads: o.Threads, FlashAttention: attention})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	e = &Engine{Facts: facts, Options: o, model: m}
	if err := m.Backend().Load(ctx, progress); err != nil {
		m.Backend().Close()
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	e.text, _ = m.(tokenizer.Tokenizer)
	e.cache = m.Config().Cache
	e.cache.Init(m.Backend(), cacheTypes[o.KVType], o.BatchSize, o.Context, MaxBatchTokens)
	if err := e.reserve(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

var cacheTypes = map[KVType]ml.DType{KVF32: ml.DTypeF32, KVF16: ml.DTypeF16, KVQ8: ml.DTypeQ80}

// recovered turns a panic of the engine's code into an error.
func recovered(doing string, err *error) {
	switch r := recover().(type) {
	case nil:
	case ml.ErrNoMem:
		*err = fmt.Errorf("%s: %w", doing, ErrNoMemory)
	default:
		*err = fmt.Errorf("%s: the engine panicked: %v", doing, r)
	}
}

// ErrNoMemory is returned where an allocation failed.
var ErrNoMemory = errors.New("out of memory")

// reserve allocates what the greatest step needs, and the KV cache, so that no
// measured step does.
func (e *Engine) reserve() (err error) {
	defer recovered("reserve memory", &err)
	c := e.model.Backend().NewContext()
	defer c.Close()
	outputs := make([]int32, min(e.Options.BatchSize, MaxBatchTokens))
	batch := input.Batch{
		Inputs:    c.Input().FromInts(make([]int32, MaxBatchTokens), MaxBatchTokens),
		Outputs:   c.Input().FromInts(outputs, len(outputs)),
		Positions: make([]int32, MaxBatchTokens),
		Sequences: make([]int, MaxBatchTokens),
	}
	c.SetBatchSize(MaxBatchTokens)
	if err := e.cache.StartForward(c, batch, true); err != nil {
		return fmt.Errorf("reserve memory: %w", err)
	}
	logits, err := e.model.Forward(c, batch)
	if err != nil {
		return fmt.Errorf("reserve memory: %w", err)
	}
	c.Forward(logits)
	c.Reserve()
	return nil
}

// Close frees the model. The engine cannot be used afterwards.
func (e *Engine) Close() (err error) {
	defer recovered("close", &err)
	e.cache.Close()
	e.model.Backend().Close()
	return nil
}

// Memory returns what was allocated.
func (e *Engine) Memory() Memory {
	report := e.model.Backend().BackendMemory()
	memory := Memory{Weights: int64(report.InputWeights), Graph: int64(report.CPU.Graph)}
	for _, n := range report.CPU.Weights {
		memory.Weights += int64(n)
	}
	for _, n := range report.CPU.Cache {
		memory.KVCache += int64(n)
	}
	return memory
}

// Counts returns the totals so far.
func (e *Engine) Counts() Counts {
	c := Counts{
		Steps: e.steps.Load(), PromptTokens: e.promptTokens.Load(), OutputTokens: e.outputTokens.Load(),
		ScheduledTokens: e.scheduledTokens.Load(),
	}
	if c.Steps > 0 {
		c.RunningMean = float64(e.runningSum.Load()) / float64(c.Steps)
	}
	return c
}

// Tokenize returns the ids of a text, with the begin token that the model
// wants in front.
func (e *Engine) Tokenize(text string) (ids []uint32, err error) {
	defer recovered("tokenise", &err)
	if e.text == nil {
		return nil, errors.New("the model's file has no tokeniser")
	}
	list, err := e.text.Encode(text, true)
	for _, id := range list {
		ids = append(ids, uint32(id))
	}
	return ids, err
}

// ends tells whether the token ends a text.
func (e *Engine) ends(id uint32) bool {
	return e.text != nil && e.text.Is(int32(id), tokenizer.SpecialEOS)
}
