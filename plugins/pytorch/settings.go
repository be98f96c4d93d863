package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// weightSeed is that of all random weights: a study varies its workload, not
// its model.
const weightSeed = 1

// settings is what a cell asks for.
type settings struct {
	parameters sdk.Table // as the study wrote them
	model      sdk.Model
	config     map[string]any // of a built-in model; nil = another
	shape      shape          // zero where it is not known yet
	batchSize  int64
}

// settle reads a cell. What it finds wrong is in the diagnostics; the settings
// of a cell with an error among them are not to be used.
func settle(cell sdk.Cell) (settings, findings) {
	s := settings{
		parameters: cell.Parameters, model: cell.Model,
		batchSize: cell.Parameters.Int("batch_size", defaultBatchSize),
	}
	var found findings
	s.readModel(&found)
	s.combine(&found)
	s.divide(&found)
	return s, found
}

func (s *settings) continuous() bool { return isContinuous(s.parameters) }

func (s *settings) random() bool { return s.model.Weights == sdk.WeightsDummy }

// name is what from_pretrained is called with.
func (s *settings) name() string {
	if s.model.Path != "" {
		return s.model.Path
	}
	return s.model.ID
}

func (s *settings) readModel(found *findings) {
	m := s.model
	builtInID := strings.HasPrefix(m.ID, shapePrefix)
	known := `"` + strings.Join(shapeIDs(), `", "`) + `"`
	switch {
	case m.Path == "" && m.ID == "":
		found.refuse("model.id", `name a hub id, or set weights = "dummy" and id to one of `+known, "no model is named")
	case m.Path == "" && builtInID && !s.random():
		found.refuse("model.weights", `set weights = "dummy"`, "the built-in model %q has random weights only", m.ID)
	case m.Path == "" && builtInID:
		var err error
		if s.config, s.shape, err = builtIn(m.ID); err != nil {
			found.refuse("model.id", "known are "+known, "%v", err)
		}
	}
	if m.Revision != "" && (m.Path != "" || builtInID) {
		found.dormant("model.revision", "only a model of the hub has a revision")
	}
}

// rule is a combination of parameters that is refused or without effect.
type rule struct {
	key     string
	dormant bool
	broken  func(p sdk.Table) bool
	message string
	advice  string
}

func given(p sdk.Table, key string) bool { _, ok := p[key]; return ok }

func speculates(p sdk.Table) bool {
	return given(p, "assistant_model") || given(p, "prompt_lookup_num_tokens")
}

func spreads(p sdk.Table) bool { return p.String("device_map", oneDevice) != oneDevice }

func quantises(p sdk.Table) bool { return p.String("quantization", unquantised) != unquantised }

func cache(p sdk.Table) string { return p.String("cache_implementation", "dynamic") }

var rules = []rule{
	{"cache_implementation", false, func(p sdk.Table) bool { return !p.Bool("use_cache", true) && given(p, "cache_implementation") },
		"there is no cache to choose with use_cache = false", "leave one of the two out"},
	{"attn_implementation", false, func(p sdk.Table) bool {
		return strings.HasPrefix(p.String("attn_implementation", ""), "flash_attention") && p.String("dtype", "") == "float32"
	}, "flash attention has no kernels for float32", `set dtype to "bfloat16" or "float16"`},
	{"attn_implementation", false, func(p sdk.Table) bool {
		return strings.HasPrefix(p.String("attn_implementation", ""), "flash_attention") && p.String("device", "") == "cpu"
	}, "flash attention runs on GPUs only", `use "sdpa"`},
	{"device_map", false, func(p sdk.Table) bool { return spreads(p) && p.String("device", "") == "cpu" },
		"device_map spreads a model over GPUs", "leave it out, or device"},
	{"quantization", false, func(p sdk.Table) bool {
		return strings.HasPrefix(p.String("quantization", ""), "bnb_") && p.String("device", "") == "cpu"
	}, "bitsandbytes is offered for GPUs only", `use "torchao_int8", or device = "cuda"`},
	{"batch_size", false, func(p sdk.Table) bool { return speculates(p) && p.Int("batch_size", defaultBatchSize) > 1 },
		"transformers speculates in batches of 1 only", "set batch_size = 1"},
	{"assistant_model", false, func(p sdk.Table) bool { return given(p, "assistant_model") && given(p, "prompt_lookup_num_tokens") },
		"two ways to speculate at once", "leave one of assistant_model and prompt_lookup_num_tokens out"},
	{"num_beams", false, func(p sdk.Table) bool { return speculates(p) && p.Int("num_beams", 1) > 1 },
		"a beam search cannot speculate", "set num_beams = 1"},
	{"use_cache", false, func(p sdk.Table) bool { return speculates(p) && !p.Bool("use_cache", true) },
		"speculation needs the cache", "set use_cache = true"},
	{"cache_implementation", false, func(p sdk.Table) bool { return speculates(p) && cache(p) != "dynamic" },
		"speculation needs a cache that can be cut back", `use "dynamic"`},
	{"compile_mode", true, func(p sdk.Table) bool { return given(p, "compile_mode") && !p.Bool("compile", false) },
		"nothing is compiled without compile = true", ""},
	{"compile_fullgraph", true, func(p sdk.Table) bool { return given(p, "compile_fullgraph") && !p.Bool("compile", false) },
		"nothing is compiled without compile = true", ""},
	{"compile_dynamic", true, func(p sdk.Table) bool { return given(p, "compile_dynamic") && !p.Bool("compile", false) },
		"nothing is compiled without compile = true", ""},
	{"allow_tf32", true, func(p sdk.Table) bool { return given(p, "allow_tf32") && p.String("device", "") == "cpu" },
		"TensorFloat-32 is a format of GPUs", ""},
	{"cudnn_benchmark", true, func(p sdk.Table) bool { return given(p, "cudnn_benchmark") && p.String("device", "") == "cpu" },
		"cuDNN is a library for GPUs", ""},
	{"batching", true, func(p sdk.Table) bool {
		return p.String("batching", defaultBatching) == "length_sorted" && p.Int("batch_size", defaultBatchSize) == 1
	}, "batches of 1 need no order", ""},
}

// combine judges the parameters against each other.
func (s *settings) combine(found *findings) {
	for _, r := range slices.Concat(rules, continuousRules, tensorRules) {
		switch {
		case !r.broken(s.parameters):
		case r.dormant:
			found.dormant(r.key, "%s", r.message)
		default:
			found.refuse(r.key, r.advice, "%s", r.message)
		}
	}
	if s.parameters.String("padding_side", defaultPaddingSide) == "right" {
		found.warn("padding_side", `use "left"`, "a decoder-only model continues the padding, not the prompt: its text is wrong, its speed and energy are not")
	}
}

// findings collects diagnostics.
type findings []sdk.Diagnostic

func (f *findings) refuse(key, advice, format string, args ...any) {
	*f = append(*f, sdk.Diagnostic{Severity: sdk.SeverityError, KeyPath: key, Message: fmt.Sprintf(format, args...), Advice: advice})
}

func (f *findings) warn(key, advice, format string, args ...any) {
	*f = append(*f, sdk.Diagnostic{Severity: sdk.SeverityWarning, KeyPath: key, Message: fmt.Sprintf(format, args...), Advice: advice})
}

func (f *findings) dormant(key, format string, args ...any) {
	*f = append(*f, sdk.Diagnostic{Severity: sdk.SeverityDormant, KeyPath: key, Message: fmt.Sprintf(format, args...)})
}

// refused tells whether there is an error among them.
func (f findings) refused() bool { return f.first() != nil }

// first returns the first error as a Load reports it, or nil.
func (f findings) first() error {
	for _, d := range f {
		if d.Severity == sdk.SeverityError {
			return &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: d.KeyPath, Message: d.Message, Advice: d.Advice}
		}
	}
	return nil
}
