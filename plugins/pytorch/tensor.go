package main

import (
	"fmt"

	"github.com/llenergymeasure/llem/plugins/pytorch/internal/worker"
	"github.com/llenergymeasure/llem/sdk"
)

// leastTensor is the transformers from which on a model's parts are split as
// this backend splits them.
const leastTensor = "5.17"

// ranks is how many workers compute one model together.
func ranks(p sdk.Table) int {
	if !given(p, "tp_plan") {
		return 1
	}
	return int(p.Int("tp_size", 1))
}

func (s *settings) ranks() int { return ranks(s.parameters) }

// tensorRules judge parameters beside tensor parallelism.
var tensorRules = []rule{
	{"tp_size", false, func(p sdk.Table) bool { return given(p, "tp_plan") && !given(p, "tp_size") },
		"tp_plan does not say over how many GPUs", "set tp_size to their number"},
	{"tp_size", true, func(p sdk.Table) bool { return given(p, "tp_size") && !given(p, "tp_plan") },
		`it belongs to tp_plan = "auto"`, ""},
	withTensor("device_map", spreads, "one of them splits every layer, the other puts whole layers on each GPU"),
	withTensor("quantization", quantises, "quantised weights are not split by transformers' plans"),
	withTensor("batching", isContinuous, "every rank has a scheduler of its own, and they would take requests at different steps and wait for each other for ever"),
	withTensor("assistant_model", func(p sdk.Table) bool { return given(p, "assistant_model") }, "each rank would compute the whole assistant"),
}

func withTensor(key string, broken func(sdk.Table) bool, why string) rule {
	return rule{key, false, func(p sdk.Table) bool { return ranks(p) > 1 && broken(p) },
		"tensor parallelism cannot do this: " + why, "leave it out, or tp_plan"}
}

// divide wants the parts of a known shape to be divisible by the ranks.
func (s *settings) divide(found *findings) {
	ranks := int64(s.ranks())
	for _, part := range []struct {
		name  string
		count int64
	}{{"attention heads", s.shape.Heads}, {"KV heads", s.shape.KVHeads}, {"rows of the vocabulary", s.shape.Vocab}} {
		if part.count%ranks != 0 {
			found.refuse("tp_size", "set it to a divisor of the model's heads, KV heads and vocabulary",
				"the model's %d %s cannot be divided among %d ranks", part.count, part.name, ranks)
			return
		}
	}
}

// tensor judges what an environment has for tensor parallelism.
func (f *findings) tensor(s settings, e worker.Environment) {
	ranks := s.ranks()
	if ranks < 2 {
		return
	}
	if have := e.Packages["transformers"]; older(have, leastTensor) {
		f.refuse("tp_plan", fmt.Sprintf(`%s -m pip install "transformers>=%s"`, e.Executable, leastTensor),
			"transformers is %s; tensor parallelism needs %s or newer", have, leastTensor)
	}
	switch onCPU := s.parameters.String("device", "") == "cpu" || len(e.GPUs) == 0 || e.CUDA == ""; {
	case !onCPU && len(e.GPUs) < ranks:
		f.refuse("tp_size", fmt.Sprintf("set it to %d at most", len(e.GPUs)), "%d ranks need a GPU each, and the driver names %d", ranks, len(e.GPUs))
	case onCPU && !given(s.parameters, "num_threads"):
		f.warn("num_threads", "set it to the cores divided by tp_size", "each of %d ranks on the CPU starts a thread for every core, and they wait for each other", ranks)
	}
}
