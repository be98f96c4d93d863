// Package dummy writes Llama-like models with random weights: the step before
// loading, where a study asks for weights = "dummy". Speed and energy of a
// dense transformer do not depend on the values of its weights; its text does,
// and is worthless here.
//
// A file is determined, byte for byte, by its Shape, weight type and seed, on
// every machine. shape.go says what is written, weight.go how numbers are
// encoded, gguf.go writes the file, cache.go keeps it.
package dummy

import (
	"fmt"
	"slices"
	"strings"
)

// Shape holds the sizes of a Llama-like transformer. Counts are of elements.
type Shape struct {
	Layers  int
	Width   int // of the residual stream
	Heads   int // of the queries
	KVHeads int // of keys and values; divides Heads
	FFN     int // inner width of the feed-forward part
	Vocab   int
	Context int // longest sequence that the file declares, in tokens
}

// prefix starts the model ids of the built-in shapes.
const prefix = "llem/random-"

// builtin lists the shapes that studies can name. "tiny" is for tests: it is
// too small for its speed to mean anything.
var builtin = []struct {
	name  string
	shape Shape
}{
	{"tiny", Shape{Layers: 2, Width: 64, Heads: 4, KVHeads: 2, FFN: 128, Vocab: 320, Context: 4096}},
	{"small", Shape{Layers: 8, Width: 384, Heads: 6, KVHeads: 2, FFN: 1024, Vocab: 8192, Context: 32768}},
	{"medium", Shape{Layers: 8, Width: 512, Heads: 8, KVHeads: 2, FFN: 1536, Vocab: 32000, Context: 32768}},
}

// IDs returns the model ids that ByID knows.
func IDs() []string {
	var ids []string
	for _, b := range builtin {
		ids = append(ids, prefix+b.name)
	}
	return ids
}

// ByID returns the shape of a model id such as "llem/random-small".
func ByID(id string) (Shape, error) {
	for _, b := range builtin {
		if id == prefix+b.name {
			return b.shape, nil
		}
	}
	return Shape{}, fmt.Errorf("there is no random model %q; known are %s", id, strings.Join(IDs(), ", "))
}

// HeadWidth is the number of elements of one head.
func (s Shape) HeadWidth() int { return s.Width / s.Heads }

// Parameters counts the weights, norms included.
func (s Shape) Parameters() int64 {
	var n int64
	for _, t := range s.tensors() {
		n += t.elements()
	}
	return n
}

// Bytes is the size of the weights of a type, without the file's header.
func (s Shape) Bytes(w WeightType) int64 {
	var n int64
	for _, t := range s.tensors() {
		n += t.stored(w).bytes(t.elements())
	}
	return n
}

// Validate refuses shapes that the engine could not run. Its kernels abort
// the process on such weights, so this must come before.
func (s Shape) Validate(w WeightType) error {
	if !slices.Contains(WeightTypes(), w) {
		return fmt.Errorf("weight_type %q is not one of %v", w, WeightTypes())
	}
	for name, n := range map[string]int{
		"layers": s.Layers, "width": s.Width, "heads": s.Heads, "KV heads": s.KVHeads, "ffn": s.FFN, "context": s.Context,
	} {
		if n < 1 {
			return fmt.Errorf("a model with %d %s cannot run", n, name)
		}
	}
	block := w.blockElements()
	switch {
	case s.Vocab < firstOrdinaryToken:
		return fmt.Errorf("vocabulary of %d: the special and byte tokens alone are %d", s.Vocab, firstOrdinaryToken)
	case s.Width%s.Heads != 0 || s.HeadWidth()%2 != 0:
		return fmt.Errorf("width %d is not an even multiple of %d heads", s.Width, s.Heads)
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("%d heads are not a multiple of %d KV heads", s.Heads, s.KVHeads)
	case s.Width%block != 0 || s.FFN%block != 0:
		return fmt.Errorf("weight_type %s packs %d elements together, which does not divide width %d and ffn %d", w, block, s.Width, s.FFN)
	}
	return nil
}

// tensor is one weight of the file.
type tensor struct {
	name string
	dims []uint64 // innermost first: (inputs, outputs)
	norm bool     // all ones, and always float32
}

func (t tensor) elements() int64 {
	n := int64(1)
	for _, d := range t.dims {
		n *= int64(d)
	}
	return n
}

// stored is the type in which a file of type w holds the tensor.
func (t tensor) stored(w WeightType) WeightType {
	if t.norm {
		return F32
	}
	return w
}

// tensors lists the weights. The place in the list enters each one's seed.
func (s Shape) tensors() []tensor {
	kv := s.KVHeads * s.HeadWidth()
	matrix := func(name string, in, out int) tensor {
		return tensor{name: name + ".weight", dims: []uint64{uint64(in), uint64(out)}}
	}
	norm := func(name string) tensor {
		return tensor{name: name + ".weight", dims: []uint64{uint64(s.Width)}, norm: true}
	}
	list := []tensor{matrix("token_embd", s.Width, s.Vocab), norm("output_norm"), matrix("output", s.Width, s.Vocab)}
	for layer := range s.Layers {
		in := func(name string) string { return fmt.Sprintf("blk.%d.%s", layer, name) }
		list = append(list,
			norm(in("attn_norm")),
			matrix(in("attn_q"), s.Width, s.Width),
			matrix(in("attn_k"), s.Width, kv),
			matrix(in("attn_v"), s.Width, kv),
			matrix(in("attn_output"), s.Width, s.Width),
			norm(in("ffn_norm")),
			matrix(in("ffn_gate"), s.Width, s.FFN),
			matrix(in("ffn_up"), s.Width, s.FFN),
			matrix(in("ffn_down"), s.FFN, s.Width),
		)
	}
	return list
}
