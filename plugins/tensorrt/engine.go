package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

const version = "0.1.0"

func engine() openaiserver.Engine {
	counted := &statistics{}
	return openaiserver.Engine{
		Name: "tensorrt", Version: version, Doc: "TensorRT-LLM's server, trtllm-serve, started in your own environment or an image, or one that is running.",
		Parameters: parameters(), Command: command, Env: environment, Dialect: loadgen.TensorRT(), Speak: speak, Ready: "/health",
		Stages: stages, Faults: faults, Build: plan, Count: counted.read, Settle: counted.settle, ReadBack: counted.readBack,
		Check: check, Devices: devices, Containers: true,
		// A server looks once a second whether its client is still there.
		MaxCancelMs: 15_000,
	}
}

func backend(s sdk.Table) string { return s.String("backend", pytorch) }

// command is the program and what is not in the table.
func command(l openaiserver.Launch) ([]string, error) {
	argv, err := program(l)
	if err != nil {
		return nil, err
	}
	file, err := writeOptions(l)
	if err != nil {
		return nil, err
	}
	model := l.Model()
	if l.Built != "" {
		model = l.Built
	}
	// Before 1.2 the file's flag had this one name.
	argv = append(argv, "serve", model, "--host", l.Host, "--port", l.PortText(), "--extra_llm_api_options", file)
	if l.Built != "" && l.Settings.String("tokenizer", "") == "" {
		argv = append(argv, "--tokenizer", l.Model())
	}
	return argv, nil
}

// program is what starts the server, without its arguments.
func program(l openaiserver.Launch) ([]string, error) {
	python, executable := l.Settings.String("python", ""), l.Settings.String("executable", "")
	switch {
	case python != "" && executable != "":
		return nil, &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: "python", Message: "two environments at once", Advice: "leave one of python and executable out"}
	case python != "":
		return []string{python, "-m", "tensorrt_llm.commands.serve"}, nil
	case executable != "":
		return []string{executable}, nil
	case os.Getenv("VIRTUAL_ENV") != "" && !l.InContainer():
		return []string{filepath.Join(os.Getenv("VIRTUAL_ENV"), "bin", "trtllm-serve")}, nil
	}
	return []string{"trtllm-serve"}, nil
}

func environment(openaiserver.Launch) []string {
	return []string{"TRTLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1"}
}

// speak asks for text instead of token ids where the study wants it made.
func speak(d loadgen.Dialect, settings sdk.Table) loadgen.Dialect {
	if settings.Bool("detokenize", false) {
		d.IDs = ""
		d.Extra = maps.Clone(d.Extra)
		delete(d.Extra, "detokenize")
	}
	return d
}

var stages = []openaiserver.Stage{
	{
		Kind:     sdk.StageWeights,
		Begin:    regexp.MustCompile(`Prefetching .* checkpoint files|Loading \w+ weights in parallel|Loading weights:`),
		End:      regexp.MustCompile(`Model init total`),
		Progress: regexp.MustCompile(`(?:weights in parallel|Loading weights):\s+(\d+)%`),
	},
	{
		Kind:  sdk.StageCompile,
		Begin: regexp.MustCompile(`Autotuning process starts|Running autotuner warmup`), End: regexp.MustCompile(`Autotuning process ends|Autotuner Cache size after warmup`),
	},
	{Kind: sdk.StageCapture, Begin: regexp.MustCompile(`Creating CUDA graph instances`), End: regexp.MustCompile(`Started server process`)},
}

var faults = []openaiserver.Fault{
	{Line: regexp.MustCompile(`Executor creation failed due to insufficient GPU memory`), Code: sdk.OutOfMemory,
		Key: "free_gpu_memory_fraction", Advice: "lower it, max_batch_size or max_num_tokens, free the GPU, or load a smaller model"},
	{Line: regexp.MustCompile(`No GPU devices found on the node|CUDA driver version is insufficient|no CUDA-capable device`), Code: sdk.DeviceMissing,
		Advice: "TensorRT-LLM needs an NVIDIA GPU and its driver"},
	{Line: regexp.MustCompile(`Extra inputs are not permitted|^\s+Input should be|^\s+Value error,`), Code: sdk.UnsupportedParameter,
		Else: "extra", Advice: "this version of the server does not take it in its configuration"},
	{Line: regexp.MustCompile(`Unknown architecture for AutoModelForCausalLM|is not supported in TRT-LLM yet`), Code: sdk.UnsupportedParameter,
		Key: "model.id", Advice: "this version of the server does not know the model's architecture"},
	{Line: regexp.MustCompile(`is not a (local folder|valid model identifier)|Repo id must|does not appear to have a file named|Repository Not Found|no config\.json exists`),
		Code: sdk.ModelMissing, Key: "model.id", Advice: "check model.id, or set model.path"},
}

// gpus is how many a cell's parameters spread the model over; experts share those.
func gpus(p sdk.Table) uint32 {
	return uint32(p.Int("tensor_parallel_size", 1) * p.Int("pipeline_parallel_size", 1))
}

func devices(cell sdk.Cell) []sdk.DeviceNeed {
	n := gpus(cell.Parameters)
	return []sdk.DeviceNeed{{Kind: "gpu", Min: n, Max: n}}
}

// noticed is how long a server may take to see that its clients are gone, and to
// drop their requests.
const noticed = 1500 * time.Millisecond

// settle waits until what was broken off is dropped.
func (s *statistics) settle(ctx context.Context, server *openaiserver.Server) {
	timer := time.NewTimer(noticed)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	// What fails here is told by the next reading.
	_, _, _ = s.read(ctx, server)
}
