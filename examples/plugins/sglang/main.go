// Command sglang is a backend on SGLang's server, as a third party would write it:
// what SGLang has of its own, beside tables of its parameters, log and metrics.
package main

import (
	"context"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
	"github.com/llenergymeasure/llem/sdk/serve"
)

func main() { serve.Backend(kit.Backend(engine)) }

var engine = kit.Engine{
	Name: "sglang", Version: "0.1.0", Doc: "SGLang's server, in your own environment.", MaxCancelMs: 10_000,
	Parameters: parameters, Command: command, Dialect: loadgen.SGLangNative(), Speak: speak, Flush: flush, Devices: devices,
	Ready:  "/v1/models", // its /health generates a token and takes a second
	Stages: stages, Faults: faults, Metrics: metrics, ReadBack: readBack,
}

// command leaves sampling to the study and the warm-up to llem. A line for each
// request would be written in the window.
func command(l kit.Launch) (argv []string, err error) {
	for _, part := range l.Settings.List("command") {
		argv = append(argv, part.(string))
	}
	argv = append(argv, "--model-path", l.Model(), "--host", l.Host, "--port", l.PortText(), "--enable-metrics", "--enable-cache-report",
		"--incremental-streaming-output", "--skip-server-warmup", "--sampling-defaults", "openai", "--log-level-http", "warning")
	if model := l.Request.Cell.Model; model.Weights == sdk.WeightsDummy {
		argv = append(argv, "--load-format", "dummy")
	} else if model.Revision != "" {
		argv = append(argv, "--revision", model.Revision)
	}
	return argv, nil
}

// speak: a server that others started repeats in each event all that came before.
func speak(d loadgen.Dialect, p sdk.Table) loadgen.Dialect {
	d.Cumulative = p.String("mode", "") == "attach"
	return d
}

// flush: a cache that others use is left alone.
func flush(p sdk.Table) string {
	return map[bool]string{true: "/flush_cache"}[!p.Bool("disable_radix_cache", true) && p.String("mode", "") != "attach"]
}

func devices(cell sdk.Cell) []sdk.DeviceNeed {
	p := cell.Parameters
	n := uint32(p.Int("tp_size", 1) * p.Int("pp_size", 1))
	need := sdk.DeviceNeed{Kind: "gpu", Max: n * uint32(p.Int("dp_size", 1))} // copies may share GPUs
	switch p.String("device", "") {
	case "cpu":
		need = sdk.DeviceNeed{Kind: "cpu", Min: 1, Max: 1}
	case "cuda":
		need.Min = n
	}
	return []sdk.DeviceNeed{need}
}

// readBack asks the server what it runs with; keys of the table are its own names.
func readBack(ctx context.Context, s *kit.Server, report *sdk.LoadReport) error {
	var told map[string]any
	err := s.GetJSON(ctx, "/server_info", &told)
	for _, p := range parameters {
		if value, ok := told[p.Key].(float64); ok && p.Type == sdk.TypeInt {
			report.Resolved[p.Key] = int64(value)
		} else if told[p.Key] != nil {
			report.Resolved[p.Key] = told[p.Key]
		}
	}
	report.EngineVersion, _ = told["version"].(string)
	report.Model.WeightType, _ = told["dtype"].(string)
	report.Model.Quantisation, _ = told["quantization"].(string)
	if n, ok := told["max_total_num_tokens"].(float64); ok {
		report.KVCapacityTokens = new(int64(n))
	}
	return err
}
