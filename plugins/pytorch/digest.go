package main

import (
	"context"

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
		digest, err := sdk.ModelDigest(ctx, s.model.Path)
		done <- outcome{digest, err}
	}()
	return func() (string, error) {
		o := <-done
		return o.digest, o.err
	}
}
