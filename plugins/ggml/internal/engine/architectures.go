package engine

import (
	"maps"
	"slices"
	"strings"

	// Each of these packages makes one architecture known to the engine.
	_ "github.com/ollama/ollama/model/models/llama"
)

// architectures lists the tensors of each architecture that can be loaded.
var architectures = map[string][]wanted{
	"llama": {
		{name: "token_embd.weight", dims: []string{"width", "vocab"}},
		{name: "output_norm.weight", dims: []string{"width"}},
		// Absent where the embedding serves for the output, too.
		{name: "output.weight", dims: []string{"width", "vocab"}, optional: true},
		{name: "rope_freqs.weight", dims: []string{"rotated/2"}, optional: true},
		{name: "blk.*.attn_norm.weight", dims: []string{"width"}},
		{name: "blk.*.attn_q.weight", dims: []string{"width", "q"}},
		{name: "blk.*.attn_k.weight", dims: []string{"width", "kv"}},
		{name: "blk.*.attn_v.weight", dims: []string{"width", "kv"}},
		{name: "blk.*.attn_output.weight", dims: []string{"q", "width"}},
		{name: "blk.*.attn_q.bias", dims: []string{"q"}, optional: true},
		{name: "blk.*.attn_k.bias", dims: []string{"kv"}, optional: true},
		{name: "blk.*.attn_v.bias", dims: []string{"kv"}, optional: true},
		{name: "blk.*.ffn_norm.weight", dims: []string{"width"}},
		{name: "blk.*.ffn_gate.weight", dims: []string{"width", "ffn"}},
		{name: "blk.*.ffn_up.weight", dims: []string{"width", "ffn"}},
		{name: "blk.*.ffn_down.weight", dims: []string{"ffn", "width"}},
	},
}

func architectureNames() string {
	return strings.Join(slices.Sorted(maps.Keys(architectures)), ", ")
}
