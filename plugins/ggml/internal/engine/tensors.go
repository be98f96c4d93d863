package engine

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/ollama/ollama/fs/ggml"
)

// weigh sums up the tensors and finds the type that holds most parameters.
func weigh(tensors []*ggml.Tensor) (parameters, bytes int64, mostly string) {
	byType := map[string]int64{}
	for _, t := range tensors {
		parameters += int64(t.Elements())
		bytes += int64(t.Size())
		byType[strings.ToLower(t.Type())] += int64(t.Elements())
	}
	for name, n := range byType {
		if n > byType[mostly] || n == byType[mostly] && name < mostly {
			mostly = name
		}
	}
	return parameters, bytes, mostly
}

// checkTensors refuses a file whose tensors do not fit together, and returns
// the size of the vocabulary. The kernels end the process with an assertion
// where shapes disagree, so every matrix of the forward pass is looked at.
func checkTensors(f Facts, header ggml.KV, tensors []*ggml.Tensor) (vocab int, err error) {
	architecture, ok := architectures[f.Architecture]
	if !ok {
		return 0, fmt.Errorf("architecture %q is not supported; supported are %s", f.Architecture, architectureNames())
	}
	if header.Uint("expert_count") > 0 {
		return 0, fmt.Errorf("mixtures of experts are not supported (architecture %q with %d experts)", f.Architecture, header.Uint("expert_count"))
	}
	ffn := int(header.Uint("feed_forward_length"))
	if f.Layers > len(tensors) {
		return 0, fmt.Errorf("the header promises %d layers and the file has %d tensors", f.Layers, len(tensors))
	}
	if f.Layers < 1 || f.Width < 1 || f.Heads < 1 || f.KVHeads < 1 || f.HeadWidth < 1 || ffn < 1 || f.Heads%f.KVHeads != 0 {
		return 0, fmt.Errorf("the header's sizes make no model: %d layers, width %d, %d heads, %d KV heads, ffn %d",
			f.Layers, f.Width, f.Heads, f.KVHeads, ffn)
	}
	if err := checkNumbers(f, header); err != nil {
		return 0, err
	}
	byName := map[string]*ggml.Tensor{}
	for _, t := range tensors {
		if byName[t.Name] != nil {
			return 0, fmt.Errorf("tensor %s occurs twice", t.Name)
		}
		if err := computes(t); err != nil {
			return 0, err
		}
		byName[t.Name] = t
	}
	embedding := byName["token_embd.weight"]
	if embedding == nil || len(embedding.Shape) != 2 {
		return 0, fmt.Errorf("tensor token_embd.weight is missing or no matrix")
	}
	vocab = int(embedding.Shape[1])
	sizes := map[string]int{
		"width": f.Width, "q": f.Heads * f.HeadWidth, "kv": f.KVHeads * f.HeadWidth, "ffn": ffn, "vocab": vocab, "rotated/2": cmp.Or(int(header.Uint("rope.dimension_count")), f.HeadWidth) / 2,
	}
	for _, want := range architecture {
		for _, name := range want.names(f.Layers) {
			if err := want.check(name, byName[name], sizes); err != nil {
				return 0, err
			}
		}
	}
	return vocab, nil
}

// wanted is a tensor of an architecture: its name, with * for the number of
// the layer, and its sizes by name, innermost first.
type wanted struct {
	name     string
	dims     []string
	optional bool
}

func (w wanted) names(layers int) []string {
	if !strings.Contains(w.name, "*") {
		return []string{w.name}
	}
	var names []string
	for i := range layers {
		names = append(names, strings.ReplaceAll(w.name, "*", fmt.Sprint(i)))
	}
	return names
}

func (w wanted) check(name string, t *ggml.Tensor, sizes map[string]int) error {
	if t == nil {
		if w.optional {
			return nil
		}
		return fmt.Errorf("tensor %s is missing", name)
	}
	var shape []uint64
	for _, d := range w.dims {
		shape = append(shape, uint64(sizes[d]))
	}
	if fmt.Sprint(t.Shape) != fmt.Sprint(shape) {
		return fmt.Errorf("tensor %s has the shape %v; the header's sizes ask for %v", name, t.Shape, shape)
	}
	if kind := ggml.TensorType(t.Kind); len(shape) == 1 && kind != ggml.TensorTypeF32 {
		return fmt.Errorf("tensor %s is a vector of type %s; the kernels take f32 there", name, kind)
	}
	return nil
}

// computes refuses a type without kernels. It looks at tensors that the
// forward pass does not use, too, for they are loaded.
func computes(t *ggml.Tensor) error {
	kind := ggml.TensorType(t.Kind)
	if !computable[kind] {
		return fmt.Errorf("tensor %s has the type %s (%d), for which there is no kernel", t.Name, kind, t.Kind)
	}
	if t.Shape[0]%kind.BlockSize() != 0 {
		return fmt.Errorf("tensor %s: rows of %d elements cannot hold type %s, which packs %d together", t.Name, t.Shape[0], kind, kind.BlockSize())
	}
	return nil
}

// checkNumbers looks at what the kernels assert of the header's numbers.
func checkNumbers(f Facts, header ggml.KV) error {
	rotated := cmp.Or(int(header.Uint("rope.dimension_count")), f.HeadWidth)
	if rotated%2 != 0 || rotated > f.HeadWidth {
		return fmt.Errorf("the header asks for %d rotated elements in a head of %d", rotated, f.HeadWidth)
	}
	if epsilon := header.Float("attention.layer_norm_rms_epsilon"); !(epsilon >= 0) {
		return fmt.Errorf("the header's epsilon of the norms is %v", epsilon)
	}
	return nil
}

// computable lists the types that matrices can have.
var computable = map[ggml.TensorType]bool{
	ggml.TensorTypeF32: true, ggml.TensorTypeF16: true, ggml.TensorTypeBF16: true,
	ggml.TensorTypeQ4_0: true, ggml.TensorTypeQ4_1: true, ggml.TensorTypeQ5_0: true, ggml.TensorTypeQ5_1: true, ggml.TensorTypeQ8_0: true,
	ggml.TensorTypeQ2_K: true, ggml.TensorTypeQ3_K: true, ggml.TensorTypeQ4_K: true, ggml.TensorTypeQ5_K: true, ggml.TensorTypeQ6_K: true,
}
