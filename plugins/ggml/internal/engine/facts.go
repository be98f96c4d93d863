package engine

import (
	"fmt"
	"io"
	"os"

	"github.com/ollama/ollama/fs/ggml"
)

// Facts is what is known of a model without loading it.
type Facts struct {
	Architecture string
	Name         string // as the file calls it; may be empty
	Layers       int
	Width        int
	Heads        int
	KVHeads      int
	HeadWidth    int
	Vocab        int
	Context      int // longest sequence that the model was made for, in tokens
	Parameters   int64
	WeightBytes  int64
	// WeightType is the type that holds most of the parameters, in lower case.
	WeightType string
}

// KVBytesPerToken is what a token of context takes in all layers.
func (f Facts) KVBytesPerToken(t KVType) int64 {
	return t.bytes(2 * int64(f.Layers) * int64(f.KVHeads) * int64(f.HeadWidth))
}

// Inspect reads the header of a GGUF file and refuses a model that this engine
// cannot run, as far as the header tells.
func Inspect(path string) (facts Facts, err error) {
	// The engine's reader trusts what it finds in the header; checkHeader
	// bounds it, and what that lets pass comes back as a panic at worst.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read the header of %s: the file is damaged (%v)", path, r)
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return Facts{}, err
	}
	defer f.Close()
	about, err := f.Stat()
	if err != nil {
		return Facts{}, err
	}
	if !about.Mode().IsRegular() {
		return Facts{}, fmt.Errorf("%s is no regular file; name a GGUF file", path)
	}
	if err := checkHeader(f, about.Size()); err != nil {
		return Facts{}, fmt.Errorf("read the header of %s: %w; it must be a whole GGUF file", path, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Facts{}, fmt.Errorf("read the header of %s: %w", path, err)
	}
	file, err := ggml.Decode(f, 0)
	if err != nil {
		return Facts{}, fmt.Errorf("read the header of %s: %w; it must be a whole GGUF file", path, err)
	}
	header, tensors := file.KV(), file.Tensors().Items()
	facts = factsOf(header, tensors)
	if facts.Vocab, err = checkTensors(facts, header, tensors); err != nil {
		return Facts{}, fmt.Errorf("%s: %w", path, err)
	}
	return facts, nil
}

// factsOf reads the header's numbers, not yet held against the tensors.
func factsOf(header ggml.KV, tensors []*ggml.Tensor) Facts {
	f := Facts{
		Architecture: header.Architecture(),
		Name:         header.String("general.name"),
		Layers:       int(header.BlockCount()),
		Width:        int(header.EmbeddingLength()),
		Heads:        int(header.HeadCountMax()),
		KVHeads:      int(header.HeadCountKVMax()),
		HeadWidth:    int(header.EmbeddingHeadCountK()),
		Context:      int(header.ContextLength()),
	}
	f.Parameters, f.WeightBytes, f.WeightType = weigh(tensors)
	return f
}
