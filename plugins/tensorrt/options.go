package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
)

// mostIterations keeps the server from dropping statistics between two reads: by
// default it keeps those of the last 1000 steps.
const mostIterations = 1_000_000

// options are the settings of TensorRT-LLM's LLM API for the file that
// trtllm-serve reads. What the file has goes before the command line, a whole table
// at a time: kv_cache_config in the file hides every flag about the cache.
func options(l kit.Launch) (map[string]any, error) {
	options := tree(kit.Configuration(parameters(), l.Settings))
	s, cell := l.Settings, l.Request.Cell
	if s.Bool("iteration_stats", false) {
		options["iter_stats_max_iterations"] = int64(mostIterations)
		if backend(s) == pytorch { // the other one always counts, and refuses the key
			options["enable_iter_perf_stats"] = true
		}
	}
	if on, given := s["overlap_scheduler"].(bool); given {
		options["disable_overlap_scheduler"] = !on
	}
	if graphs, given := graphs(s); given {
		options["cuda_graph_config"] = graphs
	}
	if cell.Model.Weights == sdk.WeightsDummy {
		options["load_format"] = "dummy"
	}
	if cell.Model.Revision != "" {
		options["revision"] = cell.Model.Revision
	}
	if err := merge(options, tree(s.Table("extra")), "extra"); err != nil {
		return nil, err
	}
	return options, nil
}

// graphs is the value of cuda_graph_config; null switches them off.
func graphs(s sdk.Table) (value any, given bool) {
	sizes, padding := s["cuda_graph_batch_sizes"], s["cuda_graph_padding"]
	if on, ok := s["cuda_graphs"].(bool); ok && !on {
		return nil, true
	}
	config := map[string]any{}
	if sizes != nil {
		config["batch_sizes"] = sizes
	}
	if padding != nil {
		config["enable_padding"] = padding
	}
	return config, len(config) > 0
}

// merge adds further settings; what is there already has a key of its own.
func merge(into, more map[string]any, path string) error {
	for key, value := range more {
		below, isTable := value.(map[string]any)
		there, known := into[key]
		target, ok := there.(map[string]any)
		switch {
		case !known:
			into[key] = value
		case isTable && ok:
			if err := merge(target, below, path+"."+key); err != nil {
				return err
			}
		default:
			return &sdk.Error{
				Code: sdk.UnsupportedParameter, KeyPath: path + "." + key, Message: "the plugin sets it already: " + fmt.Sprint(there),
				Advice: "use the plugin's own key, which `llem plugins show tensorrt` lists",
			}
		}
	}
	return nil
}

// tree is a table that can also hold null.
func tree(t sdk.Table) map[string]any {
	out := make(map[string]any, len(t))
	for key, value := range t {
		out[key] = grown(value)
	}
	return out
}

func grown(value any) any {
	switch v := value.(type) {
	case sdk.Table:
		return tree(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = grown(v[i])
		}
		return list
	}
	return value
}

const optionsFile = "llm_api_options.yaml"

// writeOptions puts the file into the load's directory, and its text into the
// trial's log.
func writeOptions(l kit.Launch) (string, error) {
	options, err := options(l)
	if err != nil {
		return "", err
	}
	if l.Request.WorkDir == "" { // nothing is started
		return optionsFile, nil
	}
	path, err := filepath.Abs(filepath.Join(l.Request.WorkDir, optionsFile))
	if err != nil {
		return "", err
	}
	text := yaml(options)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write the server's configuration: %w", err)
	}
	for line := range strings.Lines(text) {
		fmt.Fprint(os.Stderr, optionsFile+": "+line)
	}
	return path, nil
}
