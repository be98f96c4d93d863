package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

// weightsOf names the weights by what they are: the commit of a hub's model, or the
// contents of a directory.
func weightsOf(ctx context.Context, l openaiserver.Launch) (string, error) {
	model := l.Request.Cell.Model
	if model.Path == "" {
		return model.ID + "@" + model.Revision, nil
	}
	random := model.Weights == sdk.WeightsDummy
	files, err := modelFiles(model.Path, random)
	if err != nil {
		return "", &sdk.Error{Code: sdk.ModelMissing, KeyPath: "model.path", Phase: "identify the model", Message: err.Error()}
	}
	if random {
		digest, err := digest(ctx, files)
		return "random:" + digest, err
	}
	// The digest of many gigabytes is kept under their names, sizes and times.
	listing, err := listing(files)
	if err != nil {
		return "", err
	}
	name := sha256.Sum256([]byte(listing))
	kept := filepath.Join(l.Request.CacheDir, "digests", hex.EncodeToString(name[:]))
	if text, err := os.ReadFile(kept); err == nil && len(text) == hex.EncodedLen(sha256.Size) {
		return string(text), nil
	}
	digest, err := digest(ctx, files)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return "", fmt.Errorf("keep the model's digest: %w", err)
	}
	if err := os.WriteFile(kept, []byte(digest), 0o644); err != nil {
		return "", fmt.Errorf("keep the model's digest: %w", err)
	}
	return digest, nil
}

// modelFiles are the files that an engine is built of, in order.
func modelFiles(dir string, random bool) ([]string, error) {
	patterns := []string{"*.json", "*.safetensors", "*.bin"}
	if random {
		patterns = []string{"config.json"}
	}
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if !slices.Contains(files, filepath.Join(dir, "config.json")) {
		return nil, fmt.Errorf("%s has no config.json", dir)
	}
	slices.Sort(files)
	return files, nil
}

func listing(files []string) (string, error) {
	var b strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return "", fmt.Errorf("identify the model: %w", err)
		}
		fmt.Fprintf(&b, "%s %d %d\n", file, info.Size(), info.ModTime().UnixNano())
	}
	return b.String(), nil
}

func digest(ctx context.Context, files []string) (string, error) {
	h := sha256.New()
	for _, file := range files {
		if err := sdk.HashFile(ctx, h, file); err != nil {
			return "", fmt.Errorf("identify the model: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// askLimit bounds a question to a program that loads no engine.
const askLimit = time.Minute

func ask(ctx context.Context, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var complaint bytes.Buffer
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Stderr = &complaint
	text, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w %s", strings.Join(argv, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return text, nil
}

// libraries are the versions of what builds the engine.
func libraries(ctx context.Context, script []string) (map[string]string, error) {
	missing := func(message string) error {
		return &sdk.Error{
			Code: sdk.EngineMissing, Phase: "identify TensorRT-LLM", Message: message,
			Advice: "install tensorrt_llm in that environment, or name another with python or executable",
		}
	}
	text, err := ask(ctx, append(script, "identify")...)
	if err != nil {
		return nil, missing(err.Error())
	}
	var found map[string]string
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, missing(fmt.Sprintf("%s answers %.200q", script[0], text))
	}
	if found["tensorrt_llm"] == "" {
		return nil, missing(script[0] + " has no tensorrt_llm")
	}
	return found, nil
}

// gpuModels are the names and architectures of the n GPUs that an engine is for.
func gpuModels(ctx context.Context, ids []string, n int) ([]string, error) {
	argv := []string{"nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"}
	if len(ids) > 0 {
		argv = append(argv, "--id="+strings.Join(ids[:min(n, len(ids))], ","))
	}
	text, err := ask(ctx, argv...)
	if err != nil {
		return nil, &sdk.Error{
			Code: sdk.DeviceMissing, Phase: "identify the GPUs", Message: err.Error(),
			Advice: "engines are built on the GPUs that they are for; see whether `nvidia-smi` works",
		}
	}
	var models []string
	for line := range strings.Lines(string(text)) {
		models = append(models, strings.TrimSpace(line))
	}
	if len(models) < n {
		return nil, &sdk.Error{
			Code: sdk.DeviceMissing, KeyPath: "tensor_parallel_size", Phase: "identify the GPUs",
			Message: fmt.Sprintf("the engine is for %d GPUs and %d are there", n, len(models)), Advice: "lower tensor_parallel_size or pipeline_parallel_size",
		}
	}
	return models[:n], nil
}

// firstLine is that of a program in PATH or at a path.
func firstLine(program string) ([]byte, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, &sdk.Error{Code: sdk.EngineMissing, Phase: "build the engine", Message: err.Error(), Advice: "install TensorRT-LLM, or name its command with executable"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("look which Python %s runs in: %w", path, err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 512)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("look which Python %s runs in: %w", path, err)
	}
	return line, nil
}
