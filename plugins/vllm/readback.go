package main

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

// readBack asks the server for its version, its context and its cache, and looks
// up the rest in the line that it logs about its configuration.
func readBack(ctx context.Context, s *openaiserver.Server, report *sdk.LoadReport) error {
	var v struct {
		Version string `json:"version"`
	}
	var models struct {
		Data []struct {
			MaxModelLen int64 `json:"max_model_len"`
		} `json:"data"`
	}
	if err := s.GetJSON(ctx, "/version", &v); err != nil {
		return err
	}
	if err := s.GetJSON(ctx, "/v1/models", &models); err != nil {
		return err
	}
	text, err := s.Get(ctx, "/metrics")
	if err != nil {
		return err
	}
	report.EngineVersion = v.Version
	if len(models.Data) > 0 && models.Data[0].MaxModelLen > 0 {
		report.Resolved["max_model_len"] = models.Data[0].MaxModelLen
	}
	fromCaches(cacheConfigs(string(text)), report)
	for _, line := range s.Log {
		if strings.Contains(line, "LLM engine (v") {
			fromConfig(line, report)
		}
		fromScheduler(line, report)
	}
	if dividesPrompts(report.Resolved, s.Workload) {
		// A step that ends within a prompt may bring no output, and vLLM counts only
		// those that bring some.
		s.Mistrust(metrics.EngineSteps)
	}
	if n := engines(string(text)); n > 0 {
		// Of this the engine's own line says 1 in each copy.
		report.Resolved["data_parallel_size"] = int64(n)
		if n > 1 {
			// Each front end counts a step of each engine that it had output of.
			s.Mistrust(metrics.EngineSteps)
		}
	}
	fromModel(report)
	return nil
}

var chunks = regexp.MustCompile(`Chunked prefill is enabled with max_num_batched_tokens=(\d+)`)

func fromScheduler(line string, report *sdk.LoadReport) {
	if match := chunks.FindStringSubmatch(line); match != nil {
		if n, err := strconv.ParseInt(match[1], 10, 64); err == nil {
			report.Resolved["max_num_batched_tokens"] = n
		}
	}
}

// dividesPrompts tells whether a prompt takes more than one step even if it is alone.
// Of an attached server the size of a step is not known.
func dividesPrompts(resolved sdk.Table, w sdk.Workload) bool {
	most, known := resolved["max_num_batched_tokens"].(int64)
	return known && most < int64(w.MaxInputTokens)
}

var label = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// cacheConfigs are the labels of vLLM's metric about its cache, of one engine after
// the other.
func cacheConfigs(metrics string) (all []map[string]string) {
	seen := map[string]bool{}
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, "vllm:cache_config_info{") {
			continue
		}
		labels := map[string]string{}
		for _, match := range label.FindAllStringSubmatch(line, -1) {
			labels[match[1]] = match[2]
		}
		if !seen[labels["engine"]] {
			seen[labels["engine"]] = true
			all = append(all, labels)
		}
	}
	return all
}

var engineLabel = regexp.MustCompile(`(?m)^vllm:iteration_tokens_total_count\{[^\n]*\bengine="([^"]*)"`)

// engines is how many copies of the model the metrics are of.
func engines(metrics string) int {
	found := map[string]bool{}
	for _, match := range engineLabel.FindAllStringSubmatch(metrics, -1) {
		found[match[1]] = true
	}
	return len(found)
}

// fromCaches reads the settings of the first engine's cache, as all have them, and
// what all of them hold.
func fromCaches(engines []map[string]string, report *sdk.LoadReport) {
	tokens := int64(0)
	for i := len(engines) - 1; i >= 0; i-- {
		report.KVCapacityTokens = nil
		fromCache(engines[i], report)
		if report.KVCapacityTokens == nil {
			return
		}
		tokens += *report.KVCapacityTokens
	}
	if len(engines) > 0 {
		report.KVCapacityTokens = &tokens
	}
}

func fromCache(labels map[string]string, report *sdk.LoadReport) {
	number := func(key string) (int64, bool) {
		n, err := strconv.ParseInt(labels[key], 10, 64)
		return n, err == nil
	}
	block, known := number("block_size")
	if known {
		report.Resolved["block_size"] = block
	}
	if n, ok := number("kv_cache_memory_bytes"); ok {
		report.Resolved["kv_cache_memory_bytes"] = n
	}
	if share, err := strconv.ParseFloat(labels["gpu_memory_utilization"], 64); err == nil {
		report.Resolved["gpu_memory_utilization"] = share
	}
	if on, err := strconv.ParseBool(labels["enable_prefix_caching"]); err == nil {
		report.Resolved["prefix_caching"] = on
	}
	// Before 0.30 or so only the number of blocks is told.
	if n, ok := number("kv_cache_size_tokens"); ok {
		report.KVCapacityTokens = &n
	} else if blocks, ok := number("num_gpu_blocks"); ok && known {
		n := blocks * block
		report.KVCapacityTokens = &n
	}
}

var setting = regexp.MustCompile(`\b(dtype|quantization|kv_cache_dtype|tensor_parallel_size|pipeline_parallel_size|enforce_eager|enable_chunked_prefill|seed|load_format|device_config|trust_remote_code)=([\w.]+)`)

// fromConfig reads the line about the engine's configuration. Its first mention of
// a name is the engine's own.
func fromConfig(line string, report *sdk.LoadReport) {
	seen := map[string]bool{}
	for _, match := range setting.FindAllStringSubmatch(line, -1) {
		name, value := match[1], match[2]
		if seen[name] {
			continue
		}
		seen[name] = true
		n, numberErr := strconv.ParseInt(value, 10, 64)
		on, boolErr := strconv.ParseBool(value)
		switch name {
		case "dtype":
			report.Resolved["dtype"] = strings.TrimPrefix(value, "torch.")
			report.Model.WeightType = strings.TrimPrefix(value, "torch.")
		case "quantization":
			if value != "None" {
				report.Resolved["quantization"], report.Model.Quantisation = value, value
			}
		case "kv_cache_dtype", "load_format":
			report.Resolved[name] = value
		case "device_config":
			if value == "cpu" || value == "cuda" {
				report.Resolved["device"] = value
			}
			if value == "cpu" && len(report.Devices) > 0 { // whatever GPUs it was given
				report.Devices = []sdk.DeviceUse{{ID: "cpu", Kind: "cpu", PID: report.Devices[0].PID}}
			}
		case "enable_chunked_prefill":
			if boolErr == nil {
				report.Resolved["chunked_prefill"] = on
			}
		case "enforce_eager", "trust_remote_code":
			if boolErr == nil {
				report.Resolved[name] = on
			}
		default:
			if numberErr == nil {
				report.Resolved[name] = n
			}
		}
	}
}

// fromModel reads the shape of a built-in model; the kit has that of one in a
// directory.
func fromModel(report *sdk.LoadReport) {
	if config, _ := builtIn(sdk.Model{ID: report.Model.Base, Weights: sdk.WeightsDummy}); config != nil {
		openaiserver.ReadShape(&report.Model, config)
	}
}
