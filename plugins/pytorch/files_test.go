package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

const smallConfig = `{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 128, "vocab_size": 320, "intermediate_size": 128, "torch_dtype": "float32"}`

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// safetensors is a file with one tensor of the given size.
func safetensors(bytes int) []byte {
	header := `{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[` + "4" + `],"data_offsets":[0,16]}}`
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), make([]byte, bytes)...)
}

func TestModelDirectories(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string][]byte
		words string // of the refusal; "" = none
	}{
		{"whole", map[string][]byte{"config.json": []byte(smallConfig), "model.safetensors": safetensors(16)}, ""},
		{"in shards", map[string][]byte{
			"config.json": []byte(smallConfig), "a.safetensors": safetensors(16), "b.safetensors": safetensors(16),
			"model.safetensors.index.json": []byte(`{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}`),
		}, ""},
		{"of an older format", map[string][]byte{"config.json": []byte(smallConfig), "pytorch_model.bin": {1}}, ""},
		{"empty", nil, "no config.json"},
		{"no weights", map[string][]byte{"config.json": []byte(smallConfig)}, "no weights"},
		{"truncated", map[string][]byte{"config.json": []byte(smallConfig), "model.safetensors": safetensors(15)}, "not wholly copied"},
		{"no header", map[string][]byte{"config.json": []byte(smallConfig), "model.safetensors": {1, 2}}, "it has 2 bytes"},
		{"long header", map[string][]byte{"config.json": []byte(smallConfig), "model.safetensors": []byte("\xff\xff\xff\xff\xff\xff\xff\xff")}, "its header claims"},
		{"a shard missing", map[string][]byte{
			"config.json": []byte(smallConfig), "model.safetensors.index.json": []byte(`{"weight_map": {"x": "a.safetensors"}}`),
		}, "a.safetensors"},
		{"a broken config", map[string][]byte{"config.json": []byte(`{`)}, "config.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range c.files {
				write(t, filepath.Join(dir, name), content)
			}
			s, _ := settle(sdk.Cell{Model: sdk.Model{Path: dir, Weights: sdk.WeightsAuto}, Parameters: sdk.Table{}})
			var found findings
			s.look(&found)
			if c.words != "" {
				wantOne(t, found, sdk.SeverityError, "model.path", c.words)
			} else if len(found) > 0 || s.shape.Context != 128 || s.shape.KVHeads != 4 || s.shape.HeadDim != 16 || s.shape.DType != "float32" {
				t.Errorf("found %+v, shape %+v", found, s.shape)
			}
		})
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(safetensors(16))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "w.safetensors")
		write(t, path, content)
		if size, err := inspectSafetensors(path); err == nil && size > int64(len(content)) {
			t.Errorf("%d bytes of tensors in a file of %d", size, len(content))
		}
	})
}
