package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/llenergymeasure/llem/sdk"
)

// startDigest begins to hash the weights of a model's directory beside its
// loading, and returns the function that waits for the result: "sha256:" over
// the names and contents of the config and the weights' files, or "" where there
// is no directory to hash.
func (s *settings) startDigest(ctx context.Context) func() (string, error) {
	if s.model.Path == "" || s.random() {
		return func() (string, error) { return "", nil }
	}
	type outcome struct {
		digest string
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		digest, err := digestDir(ctx, s.model.Path)
		done <- outcome{digest, err}
	}()
	return func() (string, error) {
		o := <-done
		return o.digest, o.err
	}
}

func digestDir(ctx context.Context, dir string) (string, error) {
	files, err := weightFiles(dir)
	if err != nil || len(files) == 0 {
		return "", err
	}
	h := sha256.New()
	for _, path := range append([]string{filepath.Join(dir, "config.json")}, files...) {
		if err := sdk.HashFile(ctx, h, path); err != nil {
			return "", fmt.Errorf("identify the model: %w", err)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
