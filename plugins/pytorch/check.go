package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/plugins/pytorch/internal/worker"
	"github.com/llenergymeasure/llem/sdk"
)

// Check implements sdk.Checker. Each interpreter is asked once.
func (*backend) Check(ctx context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	seen := map[string]probed{}
	checks := make([]sdk.CellCheck, len(cells))
	for i, cell := range cells {
		checks[i] = checkCell(ctx, cell, depth, seen)
	}
	return checks, nil
}

// probed is what an interpreter answered.
type probed struct {
	environment worker.Environment
	err         error
}

func probe(ctx context.Context, named string, seen map[string]probed) (worker.Environment, error) {
	if known, ok := seen[named]; ok {
		return known.environment, known.err
	}
	var answer probed
	python, err := findPython(named)
	if err == nil {
		answer.environment, err = worker.Probe(ctx, python)
		if err != nil {
			err = &sdk.Error{Code: sdk.EngineMissing, KeyPath: "python", Message: err.Error(), Advice: "set python to a working interpreter, 3.10 or newer"}
		}
	}
	answer.err = err
	seen[named] = answer
	return answer.environment, answer.err
}

func checkCell(ctx context.Context, cell sdk.Cell, depth sdk.Depth, seen map[string]probed) sdk.CellCheck {
	check := sdk.CellCheck{CellID: cell.ID, Abilities: (*backend)(nil).Describe().Abilities}
	if !isContinuous(cell.Parameters) {
		check.Loops = []sdk.Loop{sdk.LoopBatch}
	}
	if len(sdk.CheckTable(parameters(), cell.Parameters)) > 0 {
		return check // the schema's findings are reported without our help
	}
	s, found := settle(cell)
	found.load(cell, s)
	check.Devices = devices(cell.Parameters, nil)
	if depth == sdk.DepthEnvironment && !found.refused() {
		weights := s.look(&found)
		environment, err := probe(ctx, cell.Parameters.String("python", ""), seen)
		if err != nil {
			found.fromError(err)
		} else {
			found.environment(s, environment)
			check.Devices = devices(cell.Parameters, &environment)
		}
		if weights > 0 {
			check.Memory = &sdk.MemoryModel{WeightsBytes: &weights}
		}
	}
	found.lengths(cell, s)
	check.Memory = s.memory(check.Memory)
	check.Diagnostics = found
	return check
}

// mostGPUs is what a model could be spread over, while the machine is unknown.
const mostGPUs = 64

// devices says what a cell needs. Without a look at the machine and without the
// parameter it may be a GPU or not.
func devices(p sdk.Table, e *worker.Environment) []sdk.DeviceNeed {
	gpu := sdk.DeviceNeed{Kind: "gpu", Min: 1, Max: 1}
	switch ranks := ranks(p); {
	case ranks > 1:
		gpu.Min, gpu.Max = uint32(ranks), uint32(ranks)
	case !spreads(p):
	case e == nil:
		gpu.Max = mostGPUs
	default:
		gpu.Max = max(1, uint32(len(e.GPUs)))
	}
	switch device := p.String("device", ""); {
	case device == "cpu", device == "" && e != nil && (len(e.GPUs) == 0 || e.CUDA == ""):
		return []sdk.DeviceNeed{{Kind: "cpu", Min: 1, Max: 1}}
	case device == "" && e == nil:
		gpu.Min = 0
	}
	return []sdk.DeviceNeed{gpu}
}

// load judges how the cell is driven.
func (f *findings) load(cell sdk.Cell, s settings) {
	if s.continuous() {
		if cell.Workload.Sampling.Temperature > 0 {
			f.warn("workload.sampling.temperature", "use temperature = 0", "with continuous batching, what is sampled depends on what else is in the batch: outputs do not repeat themselves")
		}
		if s.random() && !cell.Workload.ExactLengths {
			f.warn("workload.lengths", `use lengths = "exact"`, "a model with random weights ends its texts at random, or never")
		}
		return
	}
	if cell.Load.Loop != sdk.LoopBatch {
		f.refuse("load.mode", `use mode = "batch", or batching = "continuous"`,
			"static batches cannot be driven with a %s loop: a request that arrives while a batch runs would wait for its end, and its latency would say nothing of the engine", cell.Load.Loop)
	}
	requests := int64(cell.Workload.RequestsPerPass)
	switch {
	case requests > 0 && s.batchSize > requests:
		f.warn("batch_size", "raise workload.requests to a multiple of it",
			"a pass has only %d requests, so its batches have %d and not %d", requests, requests, s.batchSize)
	case requests%s.batchSize != 0:
		f.warn("batch_size", "let the requests of a pass be a multiple of it",
			"a pass of %d requests ends with a batch of %d, not %d", requests, requests%s.batchSize, s.batchSize)
	}
	if s.random() && !cell.Workload.ExactLengths {
		f.warn("workload.lengths", `use lengths = "exact"`, "a model with random weights ends its texts at random, or never")
	}
	if !cell.Workload.ExactLengths && s.parameters.Int("num_beams", 1) > 1 {
		f.refuse("num_beams", `use lengths = "exact"`, "a beam search of natural length does not tell how many tokens it computed")
	}
	if speculates(s.parameters) && cell.Workload.Sampling.Temperature > 0 {
		f.warn("workload.sampling.temperature", "use temperature = 0", "with sampling, how much speculation saves depends on chance")
	}
}

// look inspects the model's directory, if it is in one, and returns the size of
// its weights.
func (s *settings) look(f *findings) int64 {
	if s.model.Path == "" {
		return 0
	}
	found, bytes, err := inspectDir(s.model.Path, s.random())
	if err != nil {
		f.refuse("model.path", "name a directory with a whole model", "%v", err)
		return 0
	}
	s.shape = found
	s.divide(f)
	return bytes
}

// lengths holds the workload against the model's context.
func (f *findings) lengths(cell sdk.Cell, s settings) {
	need := int64(cell.Workload.MaxInputTokens) + int64(cell.Workload.MaxOutputTokens)
	if s.shape.Context > 0 && need > s.shape.Context {
		f.refuse("workload.input_tokens", fmt.Sprintf("let input_tokens and output_tokens be at most %d together", s.shape.Context),
			"%d tokens of prompt and %d of output are more than the model's context of %d", cell.Workload.MaxInputTokens, cell.Workload.MaxOutputTokens, s.shape.Context)
	}
}

// memory forecasts what the cell takes, as far as the shape is known.
func (s *settings) memory(known *sdk.MemoryModel) *sdk.MemoryModel {
	size := int64(2)
	if s.parameters.String("dtype", s.shape.DType) == "float32" {
		size = 4
	}
	m := sdk.MemoryModel{}
	if known != nil {
		m = *known
	}
	if count := s.shape.parameters(); count > 0 && m.WeightsBytes == nil && !quantises(s.parameters) {
		bytes := count * size
		m.WeightsBytes = &bytes
	}
	if kv := s.shape.kvBytesPerToken(size); kv > 0 && cache(s.parameters) != "quantized" {
		m.KVBytesPerToken = &kv
	}
	if m.WeightsBytes == nil && m.KVBytesPerToken == nil {
		return nil
	}
	return &m
}

// The oldest versions that this backend works with.
const (
	leastTorch        = "2.6"
	leastTransformers = "5.0"
	leastContinuous   = "5.17" // its settings were others before
)

// environment judges what the interpreter and its machine have.
func (f *findings) environment(s settings, e worker.Environment) {
	where := fmt.Sprintf("the environment of %s (Python %s)", e.Executable, e.Python)
	// What is missing is one finding: one command installs it all.
	var lacks, install []string
	for _, need := range []struct{ name, least string }{{"torch", leastTorch}, {"transformers", leastTransformers}} {
		switch have := e.Packages[need.name]; {
		case have == "":
			lacks = append(lacks, "no "+need.name)
		case older(have, need.least):
			lacks = append(lacks, fmt.Sprintf("%s %s, where %s or newer is needed", need.name, have, need.least))
		default:
			continue
		}
		install = append(install, fmt.Sprintf(`"%s>=%s"`, need.name, need.least))
	}
	if len(lacks) > 0 {
		f.refuse("python", fmt.Sprintf("%s -m pip install %s, or set python to the interpreter of an environment that has it", e.Executable, strings.Join(install, " ")),
			"%s has %s", where, strings.Join(lacks, " and "))
	}
	if f.refused() {
		return
	}
	if have := e.Packages["transformers"]; s.continuous() && older(have, leastContinuous) {
		f.refuse("batching", fmt.Sprintf(`%s -m pip install "transformers>=%s"`, e.Executable, leastContinuous),
			"%s has transformers %s; continuous batching needs %s or newer", where, have, leastContinuous)
	}
	f.device(s, e)
	f.tensor(s, e)
	if onCPU := s.parameters.String("device", "") == "cpu" || len(e.GPUs) == 0 || e.CUDA == ""; s.continuous() && onCPU && e.Packages["psutil"] == "" {
		f.refuse("batching", e.Executable+" -m pip install psutil", "%s has no psutil, which transformers asks for the memory of a CPU", where)
	}
	for _, need := range needed(s) {
		if !slices.ContainsFunc(need.anyOf, func(name string) bool { return e.Packages[name] != "" }) {
			f.refuse(need.key, fmt.Sprintf("%s -m pip install %s", e.Executable, need.anyOf[0]),
				"%s has no %s, which %s = %q needs", where, strings.Join(need.anyOf, " or "), need.key, s.parameters.String(need.key, ""))
		}
	}
	f.extra(s.parameters.Table("extra"), e)
}

// device judges the device that is wanted against those that are there.
func (f *findings) device(s settings, e worker.Environment) {
	attention := s.parameters.String("attn_implementation", "")
	wanted := s.parameters.String("device", "")
	usable := len(e.GPUs) > 0 && e.CUDA != ""
	switch {
	case wanted == "cuda" && e.CUDA == "":
		f.refuse("device", `install a CUDA build of torch, or set device = "cpu"`, "torch %s is built without CUDA", e.Packages["torch"])
	case wanted == "cuda" && len(e.GPUs) == 0:
		f.refuse("device", "check `nvidia-smi`, or set device = \"cpu\"", "torch %s is built for CUDA %s, and the driver names no GPU", e.Packages["torch"], e.CUDA)
	case wanted == "" && len(e.GPUs) > 0 && e.CUDA == "":
		f.warn("device", `install a CUDA build of torch, or set device = "cpu"`, "this machine has a GPU and torch %s is built without CUDA: the CPU will be measured", e.Packages["torch"])
	}
	if spreads(s.parameters) && len(e.GPUs) < 2 {
		f.dormant("device_map", "there are no two GPUs to spread the model over: the driver names %d", len(e.GPUs))
	}
	onCPU := wanted == "cpu" || !usable
	if onCPU && strings.HasPrefix(attention, "flash_attention") {
		f.refuse("attn_implementation", `use "sdpa"`, "flash attention runs on GPUs only, and the model will be on the CPU")
	}
	if onCPU && strings.HasPrefix(s.parameters.String("quantization", ""), "bnb_") {
		f.refuse("quantization", `use "torchao_int8"`, "bitsandbytes is offered for GPUs only, and the model will be on the CPU")
	}
	if onCPU || wanted == "cpu" {
		return
	}
	capability := e.GPUs[0].Capability
	if s.parameters.String("dtype", "") == "bfloat16" && capability > 0 && capability < 80 {
		f.warn("dtype", `use "float16"`, "the GPU has compute capability %d.%d and computes bfloat16 without its tensor cores", capability/10, capability%10)
	}
	if attention == "flash_attention_2" && capability > 0 && capability < 80 || attention == "flash_attention_3" && capability > 0 && capability < 90 {
		f.refuse("attn_implementation", `use "sdpa"`, "%s has no kernels for compute capability %d.%d", attention, capability/10, capability%10)
	}
}

// need is a package that a parameter's value needs, or one of several.
type need struct {
	key   string
	anyOf []string
}

// needed are the packages that a cell needs besides torch and transformers.
func needed(s settings) []need {
	p := s.parameters
	var list []need
	for _, n := range []struct {
		key, value string
		anyOf      []string
	}{
		{"attn_implementation", "flash_attention_2", []string{"flash-attn", "kernels"}},
		{"attn_implementation", "flash_attention_3", []string{"flash-attn-3", "kernels"}},
		{"quantization", "bnb_int8", []string{"bitsandbytes"}},
		{"quantization", "bnb_nf4", []string{"bitsandbytes"}},
		{"quantization", "torchao_int8", []string{"torchao"}},
		{"quantization", "torchao_int4", []string{"torchao"}},
		{"cache_implementation", "quantized", []string{"optimum-quanto", "hqq"}},
	} {
		if p.String(n.key, "") == n.value {
			list = append(list, need{n.key, n.anyOf})
		}
	}
	if quantises(p) && !s.random() {
		list = append(list, need{"quantization", []string{"accelerate"}})
	}
	for key, uses := range map[string]bool{"device_map": spreads(p), "tp_plan": ranks(p) > 1} {
		if uses { // never both
			list = append(list, need{key, []string{"accelerate"}})
		}
	}
	return list
}

// extra wants the keys of the free table to be arguments of the installed
// transformers.
func (f *findings) extra(table sdk.Table, e worker.Environment) {
	names := slices.Sorted(maps.Keys(e.Arguments))
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if _, known := e.Arguments[key]; known {
			continue
		}
		advice := "see the documentation of transformers' GenerationConfig and from_pretrained"
		if key == "distributed_config" {
			advice = "tensor parallelism is asked for with tp_plan and tp_size; other kinds are not offered"
		} else if near := sdk.Nearest(key, names); near != "" {
			advice = fmt.Sprintf("did you mean %q?", near)
		} else if slices.ContainsFunc(parameters(), func(p sdk.Parameter) bool { return p.Key == key }) {
			advice = "it is a parameter of its own: write it outside extra"
		}
		f.refuse("extra."+key, advice, "transformers %s has no such argument of generate or from_pretrained that a study may set", e.Packages["transformers"])
	}
}

func (f *findings) fromError(err error) {
	var e *sdk.Error
	if errors.As(err, &e) {
		f.refuse(e.KeyPath, e.Advice, "%s", e.Message)
		return
	}
	f.refuse("python", "", "%v", err)
}

// older compares the leading numbers of two versions.
func older(have, least string) bool {
	a, b := numbers(have), numbers(least)
	for i := range b {
		if i >= len(a) || a[i] != b[i] {
			return i >= len(a) || a[i] < b[i]
		}
	}
	return false
}

func numbers(version string) []int {
	var list []int
	for part := range strings.SplitSeq(version, ".") {
		n, digits := 0, 0
		for _, c := range part {
			if c < '0' || c > '9' {
				break
			}
			n, digits = 10*n+int(c-'0'), digits+1
		}
		if digits == 0 {
			break
		}
		list = append(list, n)
	}
	return list
}
