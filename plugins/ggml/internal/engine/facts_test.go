package engine

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ollama/ollama/fs/ggml"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
)

func TestInspect(t *testing.T) {
	shape := tinyShape(t)
	for _, w := range dummy.WeightTypes() {
		got, err := Inspect(tinyFile(t, w))
		if err != nil {
			t.Fatal(err)
		}
		want := Facts{
			Architecture: "llama", Name: "random weights", Layers: 2, Width: 64, Heads: 4, KVHeads: 2, HeadWidth: 16,
			Vocab: 320, Context: 4096, Parameters: shape.Parameters(), WeightBytes: shape.Bytes(w), WeightType: string(w),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", w, diff)
		}
	}
}

func TestFilesThatAreNoModelAreRefused(t *testing.T) {
	whole, err := os.ReadFile(tinyFile(t, dummy.Q4_0))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"no bytes": nil, "text": []byte("Once upon a time"), "version 9": append([]byte("GGUF\x09\x00\x00\x00"), whole[8:]...),
		"a byte is missing": whole[:len(whole)-1], "half": whole[:len(whole)/2], "magic only": whole[:4],
		// Counts and lengths that no file could hold.
		"tensors":    patched(whole, 8, 1<<60),
		"keys":       patched(whole, 16, 1<<60),
		"key length": patched(whole, 24, 1<<60),
	} {
		path := filepath.Join(dir, "model.gguf")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v does not name the file", name, err)
		}
	}
	if _, err := Inspect(dir); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Inspect(filepath.Join(dir, "absent")); !os.IsNotExist(err) {
		t.Errorf("an absent file: %v", err)
	}
}

func patched(content []byte, at int, value uint64) []byte {
	c := bytes.Clone(content)
	binary.LittleEndian.PutUint64(c[at:], value)
	return c
}

// Each of these would be an assertion of the kernels.
func TestModelsThatDoNotFitTogetherAreRefused(t *testing.T) {
	type file struct {
		header  ggml.KV
		tensors map[string]*ggml.Tensor
	}
	for want, change := range map[string]func(file){
		`architecture "gptx"`:         func(f file) { f.header["general.architecture"] = "gptx" },
		"experts":                     func(f file) { f.header["llama.expert_count"] = uint32(8) },
		"make no model":               func(f file) { f.header["llama.attention.head_count_kv"] = uint32(3) },
		"promises 99 layers":          func(f file) { f.header["llama.block_count"] = uint32(99) },
		"rotated":                     func(f file) { f.header["llama.rope.dimension_count"] = uint32(17) },
		"epsilon":                     func(f file) { f.header["llama.attention.layer_norm_rms_epsilon"] = float32(-1) },
		"output.weight has the shape": func(f file) { f.tensors["output.weight"].Shape = []uint64{320, 64} },
		"ffn_up.weight is missing":    func(f file) { f.tensors["blk.1.ffn_up.weight"].Name = "blk.1.else.weight" },
		"occurs twice":                func(f file) { f.tensors["blk.1.ffn_up.weight"].Name = "blk.1.ffn_gate.weight" },
		"for which there is no kernel": func(f file) {
			f.tensors["blk.0.attn_q.weight"].Kind = 99
		},
		"packs 256 together": func(f file) { f.tensors["blk.0.attn_q.weight"].Kind = uint32(ggml.TensorTypeQ4_K) },
		"is a vector":        func(f file) { f.tensors["output_norm.weight"].Kind = uint32(ggml.TensorTypeF16) },
	} {
		facts, header, list := decoded(t, tinyFile(t, dummy.F32))
		if _, err := checkTensors(facts, header, list); err != nil {
			t.Fatal(err)
		}
		f := file{header, map[string]*ggml.Tensor{}}
		for _, tensor := range list {
			f.tensors[tensor.Name] = tensor
		}
		change(f)
		facts = factsOf(header, list)
		if _, err := checkTensors(facts, header, list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not contain %q", err, want)
		}
	}
}

func decoded(t *testing.T, path string) (Facts, ggml.KV, []*ggml.Tensor) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := ggml.Decode(f, 0)
	if err != nil {
		t.Fatal(err)
	}
	header, tensors := file.KV(), file.Tensors().Items()
	return factsOf(header, tensors), header, tensors
}

// FuzzInspect: whatever a file holds, it is refused with an error or it runs.
// A panic or an assertion of the kernels would end the process.
func FuzzInspect(f *testing.F) {
	whole, err := os.ReadFile(tinyFile(f, dummy.Q4_0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	for at := 0; at < 1200; at += 60 {
		f.Add(patched(whole, at, 1<<40+3))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(path); err != nil {
			return
		}
		e, err := Open(t.Context(), path, exactly(1, 4), nil)
		if err != nil {
			return
		}
		defer e.Close()
		_ = serveAll(t.Context(), e, []Request{{Prompt: []uint32{0}, MaxTokens: 2}}, Job{InFlight: 1})
	})
}
