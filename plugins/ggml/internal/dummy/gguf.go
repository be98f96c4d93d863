package dummy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/ollama/ollama/fs/ggml"
)

// Constants of the model that no study varies.
const (
	normEpsilon = 1e-5
	ropeBase    = 10000
	// weightSpread is the standard deviation of the weights, that of common
	// initialisations.
	weightSpread = 0.02
)

// The vocabulary: three special tokens, one for each byte, then filler.
const (
	tokenUnknown       = 0
	tokenBegin         = 1
	tokenEnd           = 2
	firstByteToken     = 3
	firstOrdinaryToken = firstByteToken + 256
)

// Token types of the format.
const (
	typeNormal  = 1
	typeUnknown = 2
	typeControl = 3
	typeByte    = 6
)

// Write writes the model to an empty file.
func Write(f *os.File, s Shape, w WeightType, seed uint64) error {
	if err := s.Validate(w); err != nil {
		return err
	}
	var tensors []*ggml.Tensor
	for i, t := range s.tensors() {
		stored := t.stored(w)
		tensors = append(tensors, &ggml.Tensor{
			Name: t.name, Kind: tensorKind(stored), Shape: t.dims,
			// The tensors are written in parallel, so each has a source of
			// its own.
			WriterTo: values{tensor: t, stored: stored, seed: seed, stream: uint64(i)},
		})
	}
	return ggml.WriteGGUF(f, metadata(s, w), tensors)
}

// tensorKind is the format's number of a weight type.
func tensorKind(w WeightType) uint32 {
	switch w {
	case F16:
		return uint32(ggml.TensorTypeF16)
	case BF16:
		return uint32(ggml.TensorTypeBF16)
	case Q8_0:
		return uint32(ggml.TensorTypeQ8_0)
	case Q4_0:
		return uint32(ggml.TensorTypeQ4_0)
	}
	return uint32(ggml.TensorTypeF32)
}

// fileTypes are the format's numbers for a whole file; they differ from those
// of its tensors.
var fileTypes = map[WeightType]uint32{F32: 0, F16: 1, Q4_0: 2, Q8_0: 7, BF16: 32}

func metadata(s Shape, w WeightType) ggml.KV {
	texts, scores, types := vocabulary(s.Vocab)
	return ggml.KV{
		"general.architecture":             "llama",
		"general.name":                     "random weights",
		"general.file_type":                fileTypes[w],
		"block_count":                      uint32(s.Layers),
		"context_length":                   uint32(s.Context),
		"embedding_length":                 uint32(s.Width),
		"feed_forward_length":              uint32(s.FFN),
		"attention.head_count":             uint32(s.Heads),
		"attention.head_count_kv":          uint32(s.KVHeads),
		"attention.layer_norm_rms_epsilon": float32(normEpsilon),
		"rope.dimension_count":             uint32(s.HeadWidth()),
		"rope.freq_base":                   float32(ropeBase),
		"vocab_size":                       uint32(s.Vocab),
		"tokenizer.ggml.model":             "llama",
		"tokenizer.ggml.tokens":            texts,
		"tokenizer.ggml.scores":            scores,
		"tokenizer.ggml.token_type":        types,
		"tokenizer.ggml.unknown_token_id":  uint32(tokenUnknown),
		"tokenizer.ggml.bos_token_id":      uint32(tokenBegin),
		"tokenizer.ggml.eos_token_id":      uint32(tokenEnd),
	}
}

// vocabulary encodes any text byte by byte.
func vocabulary(size int) (texts []string, scores []float32, types []int32) {
	texts, scores, types = make([]string, size), make([]float32, size), make([]int32, size)
	for i := range size {
		switch {
		case i == tokenUnknown:
			texts[i], types[i] = "<unk>", typeUnknown
		case i == tokenBegin:
			texts[i], types[i] = "<s>", typeControl
		case i == tokenEnd:
			texts[i], types[i] = "</s>", typeControl
		case i < firstOrdinaryToken:
			texts[i], types[i] = fmt.Sprintf("<0x%02X>", i-firstByteToken), typeByte
		default:
			texts[i], scores[i], types[i] = fmt.Sprintf("▁t%d", i), float32(-i), typeNormal
		}
	}
	return texts, scores, types
}

// values writes the elements of one tensor.
type values struct {
	tensor
	stored WeightType
	seed   uint64
	stream uint64
}

// writtenAtOnce bounds the memory of a writer, in elements.
const writtenAtOnce = 32 << 10

// WriteTo implements io.WriterTo.
func (v values) WriteTo(to io.Writer) (int64, error) {
	draw := v.source()
	chunk := make([]float32, 0, writtenAtOnce)
	var buffer []byte
	var written int64
	for left := v.elements(); left > 0; left -= int64(len(chunk)) {
		chunk = chunk[:min(left, writtenAtOnce)]
		for i := range chunk {
			chunk[i] = draw()
		}
		buffer = v.stored.encode(buffer[:0], chunk)
		n, err := to.Write(buffer)
		written += int64(n)
		if err != nil {
			return written, fmt.Errorf("write %s: %w", v.name, err)
		}
	}
	return written, nil
}

// source returns the tensor's elements one by one: the same numbers for every
// weight type, so that files of one shape and seed are one model.
func (v values) source() func() float32 {
	if v.norm {
		return func() float32 { return 1 }
	}
	random := rand.New(rand.NewPCG(v.seed, v.stream))
	return func() float32 { return float32(random.NormFloat64() * weightSpread) }
}

// Values returns a tensor's elements in full precision, for checking the
// engine's arithmetic against another implementation. It is nil for a name
// that the shape does not have.
func Values(s Shape, name string, seed uint64) []float32 {
	for i, t := range s.tensors() {
		if t.name != name {
			continue
		}
		draw := values{tensor: t, seed: seed, stream: uint64(i)}.source()
		list := make([]float32, t.elements())
		for j := range list {
			list[j] = draw()
		}
		return list
	}
	return nil
}
