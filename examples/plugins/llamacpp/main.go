// Command llamacpp is a backend on llama.cpp's own server, as a third party would
// write it: what llama-server has of its own, beside a table of its parameters.
package main

import (
	"context"
	"regexp"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
	"github.com/llenergymeasure/llem/sdk/serve"
)

func main() { serve.Backend(kit.Backend(engine)) }

var engine = kit.Engine{
	Name: "llamacpp", Version: "0.1.0", Doc: "llama.cpp's own server, llama-server.",
	Parameters: parameters, Command: command, Dialect: loadgen.LlamaCppNative(), Ready: "/health", ReadBack: readBack, Devices: devices,
	Stages: []kit.Stage{{Kind: sdk.StageWeights, Begin: regexp.MustCompile(`load_model: loading model`), End: regexp.MustCompile(`model loaded`)}},
	Faults: []kit.Fault{{Line: regexp.MustCompile(`failed to (load|open) (model|GGUF)|gguf_init_from_file`), Code: sdk.ModelMissing, Key: "model.path", Advice: "name a GGUF file"}},
	Metrics: kit.Metrics{
		Path: "/metrics", EngineSteps: "llamacpp:n_decode_total", PromptTokens: "llamacpp:prompt_tokens_total", OutputTokens: "llamacpp:tokens_predicted_total",
		CachedPromptTokens: "llamacpp:prompt_tokens_cached_total", CachedInPrompt: true, RunningMean: "llamacpp:n_busy_slots_per_decode",
		SpecAccepted: "llamacpp:spec_decode_num_accepted_tokens_total", Busy: []string{"llamacpp:requests_processing", "llamacpp:requests_deferred"},
		Named: []kit.Named{{Name: "llamacpp:prompt_seconds_total", Unit: "s", Direction: "lower"}, {Name: "llamacpp:tokens_predicted_seconds_total", Unit: "s", Direction: "lower"}},
	},
}

func command(l kit.Launch) (argv []string, err error) {
	for _, part := range l.Settings.List("command") {
		argv = append(argv, part.(string))
	}
	if l.Request.Cell.Model.Path == "" {
		return nil, &sdk.Error{Code: sdk.ModelMissing, KeyPath: "model.path", Message: "llama-server loads a file", Advice: "set model.path to a GGUF file"}
	}
	return append(argv, "-m", l.Request.Cell.Model.Path, "--host", l.Host, "--port", l.PortText(), "--metrics", "--no-cache-prompt"), nil
}

// devices: a build for GPUs uses all that are visible, up to 16.
func devices(sdk.Cell) []sdk.DeviceNeed { return []sdk.DeviceNeed{{Kind: "gpu", Max: 16}} }

// readBack asks the server what it really runs with.
func readBack(ctx context.Context, s *kit.Server, report *sdk.LoadReport) error {
	var props struct {
		Slots    int64  `json:"total_slots"`
		Build    string `json:"build_info"`
		Type     string `json:"model_ftype"`
		Settings struct {
			Context int64 `json:"n_ctx"`
		} `json:"default_generation_settings"`
	}
	if err := s.GetJSON(ctx, "/props", &props); err != nil {
		return err
	}
	capacity := props.Slots * props.Settings.Context
	report.EngineVersion, report.Model.WeightType, report.KVCapacityTokens = props.Build, props.Type, &capacity
	report.Resolved["parallel"], report.Resolved["ctx_size"] = props.Slots, capacity
	return nil
}
