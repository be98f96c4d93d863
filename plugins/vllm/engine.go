package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

const version = "0.1.0"

func engine() openaiserver.Engine {
	return openaiserver.Engine{
		Name: "vllm", Version: version, Doc: "vLLM's OpenAI server, started in your own environment, or one that is running.",
		Parameters: parameters(), Command: command, Env: environment, Dialect: loadgen.VLLM(), Ready: "/health", Flush: flush,
		Stages: stages, Faults: faults, Metrics: metrics, ReadBack: readBack, Check: check, Devices: devices,
		Containers: true, MaxCancelMs: 10_000,
	}
}

// command is the program and what is not in the table.
func command(l openaiserver.Launch) ([]string, error) {
	var argv []string
	python, program := l.Settings.String("python", ""), l.Settings.String("executable", "")
	refuse := func(one, other string) error {
		return &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: one, Message: "two environments at once", Advice: fmt.Sprintf("leave one of %s and %s out", one, other)}
	}
	switch {
	case python != "" && program != "":
		return nil, refuse("python", "executable")
	case l.InContainer() && python != "":
		return nil, refuse("container", "python")
	case l.InContainer() && program != "":
		return nil, refuse("container", "executable")
	case l.InContainer():
		argv = []string{"vllm"}
	case python != "":
		argv = []string{python, "-m", "vllm.entrypoints.cli.main"}
	case program != "":
		argv = []string{program}
	default:
		argv = []string{installed()}
	}
	model, more, err := modelArguments(l)
	if err != nil {
		return nil, err
	}
	argv = append(argv, "serve", model, "--host", l.Host, "--port", l.PortText(),
		// A line for each request would be written in the window. Cached prompt
		// tokens are only told on request. What a model's authors suggest for
		// sampling is not what the workload asks for.
		"--disable-uvicorn-access-log", "--enable-prompt-tokens-details", "--generation-config", "vllm")
	argv = append(argv, more...)
	if revision := l.Request.Cell.Model.Revision; revision != "" {
		argv = append(argv, "--revision", revision)
	}
	if l.Request.Cell.Model.Weights == sdk.WeightsDummy {
		argv = append(argv, "--load-format", "dummy")
	}
	return argv, nil
}

// installed is the command of the active virtual environment, or else whatever is
// in PATH.
func installed() string {
	if dir := os.Getenv("VIRTUAL_ENV"); dir != "" {
		return filepath.Join(dir, "bin", "vllm")
	}
	return "vllm"
}

func environment(l openaiserver.Launch) []string {
	env := []string{"VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1"}
	if flush(l.Settings) != "" {
		env = append(env, "VLLM_SERVER_DEV_MODE=1") // it has the route that drops the cache
	}
	return env
}

func flush(settings sdk.Table) string {
	if settings.Bool("prefix_caching", false) && settings.String("mode", "") != "attach" {
		return "/reset_prefix_cache"
	}
	return ""
}

var stages = []openaiserver.Stage{
	{
		Kind:  sdk.StageWeights,
		Begin: regexp.MustCompile(`Starting to load model|Loading model from scratch`), End: regexp.MustCompile(`Loading weights took|Model loading took`),
		Progress: regexp.MustCompile(`checkpoint shards:\s+(\d+)% Completed`),
	},
	{
		Kind:  sdk.StageCompile,
		Begin: regexp.MustCompile(`for vLLM's torch\.compile|Dynamo bytecode transform`), End: regexp.MustCompile(`torch\.compile (takes|took)`),
	},
	{
		Kind:  sdk.StageCapture,
		Begin: regexp.MustCompile(`Capturing CUDA graph`), End: regexp.MustCompile(`Graph capturing finished`),
		Progress: regexp.MustCompile(`Capturing CUDA graphs.*?(\d+)%`),
	},
}

var faults = []openaiserver.Fault{
	{Line: regexp.MustCompile(`No available memory for the cache blocks|less than desired (GPU|CPU) memory utilization`), Code: sdk.OutOfMemory,
		Key: "gpu_memory_utilization", Advice: "raise it, free the GPU, or load a smaller model"},
	{Line: regexp.MustCompile(`larger than the (maximum number of tokens that can be stored|available KV cache memory)|is needed, which is larger`), Code: sdk.OutOfMemory,
		Key: "max_model_len", Advice: "lower it, or give the KV cache more memory"},
	{Line: regexp.MustCompile(`max_model_len .* is greater than the derived`), Code: sdk.UnsupportedParameter,
		Key: "max_model_len", Advice: "the model was not trained for a context as long"},
	{Line: regexp.MustCompile(`could not select device driver|unresolvable CDI devices`), Code: sdk.EngineMissing,
		Key: "container", Advice: "install the NVIDIA container toolkit for the container runtime"},
	{Line: regexp.MustCompile(`manifest unknown|pull access denied|repository does not exist`), Code: sdk.EngineMissing,
		Key: "container", Advice: "check the image's name and digest, or pull it first"},
	{Line: regexp.MustCompile(`Cannot connect to the Docker daemon|(?i)permission denied while trying to connect to the docker`), Code: sdk.EngineMissing,
		Key: "container_runtime", Advice: "start the daemon, join its group, or use podman"},
	{Line: regexp.MustCompile(`is not a (local folder|valid model identifier)|Repo id must|does not appear to have a file named|Can't load the configuration|Invalid repository ID`),
		Code: sdk.ModelMissing, Key: "model.id", Advice: "check model.id, or set model.path"},
}

var metrics = openaiserver.Metrics{
	Path:         "/metrics",
	EngineSteps:  "vllm:iteration_tokens_total_count",
	PromptTokens: "vllm:prompt_tokens_total", OutputTokens: "vllm:generation_tokens_total",
	CachedPromptTokens: "vllm:prefix_cache_hits_total", Preemptions: "vllm:num_preemptions_total",
	SpecAccepted: "vllm:spec_decode_num_accepted_tokens_total",
	Busy:         []string{"vllm:num_requests_running", "vllm:num_requests_waiting"},
	Named: []openaiserver.Named{
		{Name: "vllm:request_success_total", Unit: "requests"},
		// Prompts and outputs, each once: neither what is computed again after a
		// preemption nor the rows of a step, of which each output but the first is one.
		{Name: "vllm:iteration_tokens_total_sum", Unit: "tokens"},
		{Name: "vllm:time_to_first_token_seconds_sum", Unit: "s", Direction: "lower"},
		{Name: "vllm:time_to_first_token_seconds_count", Unit: "requests"},
		{Name: "vllm:inter_token_latency_seconds_sum", Unit: "s", Direction: "lower"},
		{Name: "vllm:inter_token_latency_seconds_count", Unit: "gaps"},
		{Name: "vllm:request_time_per_output_token_seconds_sum", Unit: "s", Direction: "lower"},
		{Name: "vllm:request_queue_time_seconds_sum", Unit: "s", Direction: "lower"},
		{Name: "vllm:prefix_cache_queries_total", Unit: "tokens"},
		{Name: "vllm:spec_decode_num_draft_tokens_total", Unit: "tokens"},
	},
}

// gpus is how many a cell's parameters spread the model over.
func gpus(p sdk.Table) uint32 {
	return uint32(p.Int("tensor_parallel_size", 1) * p.Int("pipeline_parallel_size", 1) * p.Int("data_parallel_size", 1))
}

func devices(cell sdk.Cell) []sdk.DeviceNeed {
	n := gpus(cell.Parameters)
	switch cell.Parameters.String("device", "") {
	case "cpu":
		return []sdk.DeviceNeed{{Kind: "cpu", Min: 1, Max: 1}}
	case "cuda":
		return []sdk.DeviceNeed{{Kind: "gpu", Min: n, Max: n}}
	}
	return []sdk.DeviceNeed{{Kind: "gpu", Min: 0, Max: n}}
}

// check judges a cell by arithmetic.
func check(cell sdk.Cell) (found []sdk.Diagnostic) {
	p, w := cell.Parameters, cell.Workload
	var e *sdk.Error
	if _, err := builtIn(cell.Model); errors.As(err, &e) {
		found = append(found, sdk.Diagnostic{Severity: sdk.SeverityError, KeyPath: e.KeyPath, Message: e.Message, Advice: e.Advice})
	}
	add := func(severity sdk.Severity, key, advice, format string, args ...any) {
		found = append(found, sdk.Diagnostic{Severity: severity, KeyPath: key, Message: fmt.Sprintf(format, args...), Advice: advice})
	}
	need := int64(w.MaxInputTokens) + int64(w.MaxOutputTokens)
	if most, given := p["max_model_len"].(int64); given && need > most {
		add(sdk.SeverityError, "max_model_len", "raise it, or shorten the workload", "requests of up to %d tokens do not fit into a context of %d", need, most)
	}
	if p.Int("max_num_batched_tokens", 1<<40) < int64(w.MaxInputTokens) && !p.Bool("chunked_prefill", true) {
		add(sdk.SeverityError, "max_num_batched_tokens", "raise it, or allow chunked_prefill", "without chunks a prompt of %d tokens does not fit into a step", w.MaxInputTokens)
	}
	if w.SharedPrefixTokens > 0 && !p.Bool("prefix_caching", false) {
		add(sdk.SeverityWarning, "prefix_caching", "set prefix_caching = true if the shared prefix shall be computed once", "prompts share %d tokens and the prefix cache is off: they are computed for each", w.SharedPrefixTokens)
	}
	_, bytes := p["kv_cache_memory_bytes"]
	if _, share := p["gpu_memory_utilization"]; share && bytes {
		add(sdk.SeverityDormant, "gpu_memory_utilization", "", "kv_cache_memory_bytes says how large the KV cache is")
	}
	if p.Bool("enforce_eager", false) && p["compilation_config"] != nil {
		add(sdk.SeverityDormant, "compilation_config", "", "nothing is compiled with enforce_eager")
	}
	if p["load_format"] != nil && cell.Model.Weights == sdk.WeightsDummy {
		add(sdk.SeverityError, "load_format", "leave it out", `weights = "dummy" is a load format already`)
	}
	if p.String("device", "") == "cpu" && gpus(p) > 1 {
		add(sdk.SeverityWarning, "tensor_parallel_size", "", "on the CPU the ranks share its cores")
	}
	return found
}
