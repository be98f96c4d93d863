package main

import (
	"fmt"
	"strings"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/plugins/ggml/internal/engine"
	"github.com/llenergymeasure/llem/sdk"
)

const version = "0.1.0"

// Defaults that do not depend on the cell or the machine.
const (
	defaultBatchSize = 1
	defaultKVType    = engine.KVF16
	defaultWeights   = dummy.F16
)

// Describe implements sdk.Backend.
func (*backend) Describe() sdk.Description {
	return sdk.Description{
		Name: "ggml", Version: version,
		Doc: "Embedded engine: ggml kernels on the CPU, with random weights or a GGUF file.",
		Parameters: []sdk.Parameter{
			sdk.Int("threads").Unit("threads").Between(1, engine.MaxThreads).
				Doc("Threads of the kernels. Unset: the physical cores but one, which is left to the rest of the machine."),
			sdk.Int("batch_size").Unit("sequences").Or(defaultBatchSize).Between(1, engine.MaxBatchTokens).
				Doc("Sequences that are computed together: the size of static batches, or the slots of a closed loop."),
			sdk.Text("weight_type").OneOf(values(dummy.WeightTypes())...).
				Doc(fmt.Sprintf("Number format of random weights; %s if unset. A GGUF file has its own, which this must agree with.", defaultWeights)),
			sdk.Text("kv_type").Or(string(defaultKVType)).OneOf(values(engine.KVTypes())...).
				Doc("Number format of the KV cache. q8_0 needs flash attention."),
			sdk.Int("context").Unit("tokens").AtLeast(2).
				Doc("Tokens of prompt and output that each sequence has room for. Unset: what the workload needs."),
			sdk.Bool("flash_attention").Or(false).
				Doc("Compute attention in one fused kernel."),
		},
		Abilities: abilities(),
	}
}

// abilities are those of every cell.
func abilities() sdk.Abilities {
	return sdk.Abilities{
		Loops:   []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed},
		Edge:    sdk.EdgeQuiesced,
		Devices: []sdk.DeviceNeed{{Kind: "cpu", Min: 1, Max: 1}},
	}
}

// values turns names into what a schema's enumeration takes.
func values[T ~string](names []T) []any {
	var list []any
	for _, name := range names {
		list = append(list, string(name))
	}
	return list
}

func quoted(names []string) string { return `"` + strings.Join(names, `", "`) + `"` }
