package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

//go:embed build.py
var buildScript []byte

// identity is all that a built engine depends on. TensorRT-LLM's own cache of builds
// goes by the model's path and knows neither its weights nor the GPU.
type identity struct {
	Weights   string            `json:"weights"`
	Arguments map[string]any    `json:"arguments"`
	Options   map[string]any    `json:"options"`
	Libraries map[string]string `json:"libraries"`
	GPUs      []string          `json:"gpus"`
	Script    string            `json:"script"`
}

// runtimeOnly are options that no engine is built of.
var runtimeOnly = []string{"iter_stats_max_iterations"}

var runtimeOnlyOfCache = []string{"free_gpu_memory_fraction", "max_tokens"}

// plan says what must be built before the server starts: an engine for the TensorRT
// back end, unless the model's directory is one.
func plan(ctx context.Context, l openaiserver.Launch) (*openaiserver.Build, error) {
	if backend(l.Settings) != tensorrt || isEngine(l.Request.Cell.Model.Path) {
		return nil, nil
	}
	if l.Request.CacheDir == "" {
		return nil, errors.New("no directory to keep engines in was named")
	}
	python, err := interpreter(l)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(l.Request.WorkDir, "build.py")
	if err := os.WriteFile(script, buildScript, 0o600); err != nil {
		return nil, fmt.Errorf("write the build's script: %w", err)
	}
	python = append(python, script)
	id, err := identify(ctx, l, python)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(id)
	if err != nil {
		return nil, fmt.Errorf("name the engine: %w", err)
	}
	key := sha256.Sum256(text)
	// Where the model lies is no part of the engine's name.
	id.Arguments["model"] = l.Model()
	spec := filepath.Join(l.Request.WorkDir, "build.json")
	if text, err = json.MarshalIndent(id, "", "  "); err == nil {
		err = os.WriteFile(spec, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("write what is to be built: %w", err)
	}
	return &openaiserver.Build{
		Dir:     filepath.Join(l.Request.CacheDir, "engines", hex.EncodeToString(key[:])),
		Message: "build a TensorRT engine of " + l.Model(),
		Command: func(into string) (argv, env []string) {
			return slices.Concat(python, []string{"build", spec, into}), environment(l)
		},
	}, nil
}

func identify(ctx context.Context, l openaiserver.Launch, script []string) (id identity, err error) {
	if id.Options, err = options(l); err != nil {
		return id, err
	}
	for _, key := range runtimeOnly {
		delete(id.Options, key)
	}
	if cache, ok := id.Options["kv_cache_config"].(map[string]any); ok {
		for _, key := range runtimeOnlyOfCache {
			delete(cache, key)
		}
	}
	s := l.Settings
	limits := map[string]any{}
	for _, key := range []string{"max_batch_size", "max_num_tokens", "max_seq_len"} {
		if value, given := s[key]; given {
			limits[key] = value
		}
	}
	maps.Copy(limits, tree(s.Table("build_config")))
	if len(limits) > 0 {
		id.Options["build_config"] = limits
	}
	id.Arguments = map[string]any{
		"tensor_parallel_size": s.Int("tensor_parallel_size", 1), "pipeline_parallel_size": s.Int("pipeline_parallel_size", 1),
		"trust_remote_code": s.Bool("trust_remote_code", false),
	}
	if n, given := s["expert_parallel_size"]; given {
		id.Arguments["moe_expert_parallel_size"] = n
	}
	if id.Weights, err = weightsOf(ctx, l); err != nil {
		return id, err
	}
	if id.Libraries, err = libraries(ctx, script); err != nil {
		return id, err
	}
	if id.GPUs, err = gpuModels(ctx, l.Request.DeviceIDs, int(gpus(s))); err != nil {
		return id, err
	}
	sum := sha256.Sum256(buildScript)
	id.Script = hex.EncodeToString(sum[:8])
	return id, nil
}

// isEngine tells whether a directory holds a built engine, by the config that the
// builder writes.
func isEngine(dir string) bool {
	if dir == "" {
		return false
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return false // the server says what is wrong with it
	}
	var config struct {
		Pretrained json.RawMessage `json:"pretrained_config"`
		Build      json.RawMessage `json:"build_config"`
	}
	return json.Unmarshal(text, &config) == nil && config.Pretrained != nil && config.Build != nil
}

// interpreter is the Python that the server runs in.
func interpreter(l openaiserver.Launch) ([]string, error) {
	if python := l.Settings.String("python", ""); python != "" {
		return []string{python}, nil
	}
	argv, err := program(l)
	if err != nil {
		return nil, err
	}
	line, err := firstLine(argv[0])
	if err != nil {
		return nil, err
	}
	words := bytes.Fields(bytes.TrimPrefix(line, []byte("#!")))
	if !bytes.HasPrefix(line, []byte("#!")) || len(words) == 0 {
		return nil, &sdk.Error{
			Code: sdk.EngineMissing, KeyPath: "python", Phase: "build the engine", Message: argv[0] + " does not name the Python that it runs in",
			Advice: "name that interpreter with python instead of executable",
		}
	}
	var python []string
	for _, word := range words {
		python = append(python, string(word))
	}
	return python, nil
}
