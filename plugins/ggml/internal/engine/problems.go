package engine

import (
	"fmt"
	"runtime"
	"slices"
)

// MaxBatchTokens is the greatest number of tokens in one step; longer prompts
// enter in pieces.
const MaxBatchTokens = 512

// MaxThreads is the kernels' own limit.
const MaxThreads = 512

// KVType is the number format of the KV cache.
type KVType string

// The KV types.
const (
	KVF32 KVType = "f32"
	KVF16 KVType = "f16"
	KVQ8  KVType = "q8_0"
)

// KVTypes lists them.
func KVTypes() []KVType { return []KVType{KVF32, KVF16, KVQ8} }

// bytes is the size of n elements, n a multiple of 32.
func (t KVType) bytes(n int64) int64 {
	switch t {
	case KVF32:
		return 4 * n
	case KVQ8:
		return n / 32 * 34
	}
	return 2 * n
}

// Options say how a model is run.
type Options struct {
	Threads        int
	KVType         KVType
	Context        int // tokens of prompt and output in one sequence
	BatchSize      int // sequences at once
	FlashAttention bool
}

// KVCells is the capacity of the KV cache in tokens. It is rounded up as the
// cache does.
func (o Options) KVCells() int64 {
	const padding = 256
	return (int64(o.BatchSize)*int64(o.Context) + padding - 1) / padding * padding
}

// Problem is a reason why a model cannot be run with some options.
type Problem struct {
	Key     string // of the option, as the plugin's table has it
	Message string
	Advice  string
}

// Error implements error.
func (p Problem) Error() string { return p.Key + ": " + p.Message + "; " + p.Advice }

// Problems returns everything that speaks against the options. What it lets
// pass, the kernels must run: they do not return errors but end the process.
func (f Facts) Problems(o Options) []Problem {
	var list []Problem
	add := func(bad bool, key, advice, format string, args ...any) {
		if bad {
			list = append(list, Problem{Key: key, Message: fmt.Sprintf(format, args...), Advice: advice})
		}
	}
	add(o.Threads < 1 || o.Threads > MaxThreads, "threads", fmt.Sprintf("this machine offers %d", runtime.GOMAXPROCS(0)),
		"%d threads; possible are 1 to %d", o.Threads, MaxThreads)
	add(o.BatchSize < 1 || o.BatchSize > MaxBatchTokens, "batch_size", "use a smaller batch",
		"%d sequences; possible are 1 to %d, the tokens of one step", o.BatchSize, MaxBatchTokens)
	add(o.Context < 2, "context", "a prompt token and an output token are the least",
		"%d tokens of context", o.Context)
	add(f.Context > 0 && o.Context > f.Context, "context", "shorten the workload, or use a model for longer sequences",
		"%d tokens, but the model is made for %d", o.Context, f.Context)
	add(!slices.Contains(KVTypes(), o.KVType), "kv_type", fmt.Sprintf("possible are %v", KVTypes()),
		"unknown type %q", o.KVType)
	if o.KVType == KVQ8 {
		add(!o.FlashAttention, "kv_type", "set flash_attention = true, or another kv_type",
			"q8_0 needs flash attention")
		add(f.HeadWidth%32 != 0, "kv_type", "use kv_type f16 or f32",
			"q8_0 packs 32 elements together, which does not divide the model's head width %d", f.HeadWidth)
	}
	return list
}
