package main

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

// ofPyTorch and ofTensorRT are keys that one back end alone knows; the server refuses
// them with the other.
var (
	ofPyTorch  = []string{"attention_backend", "moe_backend", "cuda_graphs", "cuda_graph_batch_sizes", "cuda_graph_padding", "overlap_scheduler", "stream_interval"}
	ofTensorRT = []string{"build_config"}
)

// defaultMaxTokens is trtllm-serve's own --max_num_tokens.
const defaultMaxTokens = 8192

// check judges a cell by arithmetic.
func check(cell sdk.Cell) (found []sdk.Diagnostic) {
	p, w := cell.Parameters, cell.Workload
	add := func(severity sdk.Severity, key, advice, format string, args ...any) {
		found = append(found, sdk.Diagnostic{Severity: severity, KeyPath: key, Message: fmt.Sprintf(format, args...), Advice: advice})
	}
	foreign, other := ofTensorRT, tensorrt
	if backend(p) == tensorrt {
		foreign, other = ofPyTorch, pytorch
	}
	for _, key := range foreign {
		if _, given := p[key]; given {
			add(sdk.SeverityError, key, "leave it out", "only the %s back end has it", other)
		}
	}
	if need := int64(w.MaxInputTokens) + int64(w.MaxOutputTokens); need > p.Int("max_seq_len", 1<<40) {
		add(sdk.SeverityError, "max_seq_len", "raise it, or shorten the workload", "requests of up to %d tokens do not fit into a sequence of %d", need, p.Int("max_seq_len", 0))
	}
	if most := p.Int("max_num_tokens", defaultMaxTokens); most < int64(w.MaxInputTokens) && !p.Bool("chunked_prefill", false) {
		add(sdk.SeverityError, "max_num_tokens", "raise it, or set chunked_prefill = true", "without chunks the server refuses a prompt of %d tokens where a step has %d", w.MaxInputTokens, most)
	}
	if w.SharedPrefixTokens > 0 && !p.Bool("block_reuse", false) {
		add(sdk.SeverityWarning, "block_reuse", "set block_reuse = true if the shared prefix shall be computed once", "prompts share %d tokens and blocks are not reused: they are computed for each", w.SharedPrefixTokens)
	}
	if on, given := p["cuda_graphs"].(bool); given && !on {
		for _, key := range []string{"cuda_graph_batch_sizes", "cuda_graph_padding"} {
			if _, given := p[key]; given {
				add(sdk.SeverityDormant, key, "", "no graphs are recorded with cuda_graphs = false")
			}
		}
	}
	if n := p.Int("expert_parallel_size", 1); n > int64(gpus(p)) || int64(gpus(p))%n != 0 {
		add(sdk.SeverityError, "expert_parallel_size", "make it a divisor of their number", "experts cannot be spread over %d of %d devices", n, gpus(p))
	}
	var e *sdk.Error
	if _, err := options(openaiserver.Launch{Settings: p, Request: sdk.LoadRequest{Cell: cell}}); errors.As(err, &e) {
		add(sdk.SeverityError, e.KeyPath, e.Advice, "%s", e.Message)
	}
	if backend(p) == tensorrt {
		found = append(found, checkBuild(cell)...)
	}
	return found
}

var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkBuild wants to know what an engine is built of: it is kept under that name.
func checkBuild(cell sdk.Cell) (found []sdk.Diagnostic) {
	refuse := func(key, message, advice string) {
		found = append(found, sdk.Diagnostic{Severity: sdk.SeverityError, KeyPath: key, Message: message, Advice: advice})
	}
	if cell.Model.Path == "" && !commit.MatchString(cell.Model.Revision) {
		refuse("model.revision", "an engine is kept for the exact weights that it was built of, and no commit of the hub is named", "set model.revision to a commit of 40 digits, or model.path")
	}
	if cell.Parameters.String("container", "") != "" {
		refuse("container", "engines are built in environments of this machine only", `leave it out, or use backend = "pytorch"`)
	}
	return found
}
