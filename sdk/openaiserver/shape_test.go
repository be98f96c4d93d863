package openaiserver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

func TestShapeOfAModel(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) (model sdk.ModelIdentity) {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		readShape(&model, dir)
		return model
	}
	if m := write(`{"num_hidden_layers": 6, "num_attention_heads": 8, "vocab_size": 2048}`); *m.Layers != 6 || *m.Heads != 8 || m.KVHeads != nil || *m.Vocab != 2048 {
		t.Errorf("%+v", m)
	}
	if m := write(`{"vocab_size": "many"}`); m.Vocab != nil {
		t.Errorf("%+v", m)
	}
	var unknown sdk.ModelIdentity
	readShape(&unknown, "")
	readShape(&unknown, filepath.Join(dir, "none"))
	if unknown != (sdk.ModelIdentity{}) {
		t.Errorf("%+v", unknown)
	}
}
