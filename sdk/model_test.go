package sdk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The digest of a directory changes with each of its weights' files and with no other.
func TestModelDigest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if digest, err := ModelDigest(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "has no weights") {
		t.Errorf("an empty directory: %q, error %v", digest, err)
	}
	write("pytorch_model.bin", "older")
	if digest, err := ModelDigest(t.Context(), dir); err != nil || digest != "" {
		t.Errorf("the older format: %q, error %v", digest, err)
	}
	write("model-1.safetensors", "a")
	write("model-2.safetensors", "b")
	write("model.safetensors.index.json", `{"weight_map": {"x": "model-2.safetensors", "y": "model-1.safetensors", "z": "model-2.safetensors"}}`)
	if _, err := ModelDigest(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("without a config: %v", err)
	}
	var seen []string
	for _, change := range []struct{ name, text string }{
		{"config.json", "{}"}, {"model-1.safetensors", "c"}, {"model-2.safetensors", "d"}, {"config.json", "{ }"},
	} {
		write(change.name, change.text)
		digest, err := ModelDigest(t.Context(), dir)
		if err != nil || len(digest) != 71 || !strings.HasPrefix(digest, "sha256:") || slices.Contains(seen, digest) {
			t.Errorf("%s: %s, error %v", change.name, digest, err)
		}
		seen = append(seen, digest)
	}
	write("README.md", "no part of the model")
	if digest, err := ModelDigest(t.Context(), dir); err != nil || digest != seen[len(seen)-1] {
		t.Errorf("another file: %s, error %v", digest, err)
	}
	write("model.safetensors.index.json", "{")
	if _, err := ModelDigest(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "index.json") {
		t.Errorf("a broken index: %v", err)
	}
}
