package sdk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// WeightFiles names the safetensors files that a directory's weights are in;
// none if they are in the older format of torch.
func WeightFiles(dir string) ([]string, error) {
	index := filepath.Join(dir, "model.safetensors.index.json")
	text, err := os.ReadFile(index)
	switch {
	case err == nil:
		var content struct {
			WeightMap map[string]string `json:"weight_map"`
		}
		if err := json.Unmarshal(text, &content); err != nil {
			return nil, fmt.Errorf("%s: %w", index, err)
		}
		var files []string
		for _, name := range content.WeightMap {
			if path := filepath.Join(dir, filepath.Base(name)); !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
		slices.Sort(files)
		return files, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	single := filepath.Join(dir, "model.safetensors")
	if _, err := os.Stat(single); err == nil {
		return []string{single}, nil
	}
	older, err := filepath.Glob(filepath.Join(dir, "pytorch_model*.bin"))
	if err == nil && len(older) == 0 {
		err = fmt.Errorf("%s has no weights: neither model.safetensors nor model.safetensors.index.json is there", dir)
	}
	return nil, err
}

// ModelDigest names a model's directory by what is in it: "sha256:" over the names and
// contents of its config and of its weights' files; "" if those are not safetensors.
// Every backend that loads the directory has the same Base and ArtifactDigest then.
func ModelDigest(ctx context.Context, dir string) (string, error) {
	files, err := WeightFiles(dir)
	if err != nil || len(files) == 0 {
		return "", err
	}
	h := sha256.New()
	for _, path := range append([]string{filepath.Join(dir, "config.json")}, files...) {
		if err := HashFile(ctx, h, path); err != nil {
			return "", fmt.Errorf("identify the model: %w", err)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
