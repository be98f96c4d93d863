package openaiserver

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/llenergymeasure/llem/sdk"
)

// readShape takes the shape of a model in a directory from its config.json. What is
// not there stays unknown: a model of the hub has its shape behind its revision.
func readShape(model *sdk.ModelIdentity, dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if dir != "" && err == nil {
		ReadShape(model, text)
	}
}

// ReadShape takes the shape of a model from the text of its config.json. One that is
// no JSON is for the engine to refuse.
func ReadShape(model *sdk.ModelIdentity, configJSON []byte) {
	var config struct {
		Layers  *uint32 `json:"num_hidden_layers"`
		Heads   *uint32 `json:"num_attention_heads"`
		KVHeads *uint32 `json:"num_key_value_heads"`
		Vocab   *uint32 `json:"vocab_size"`
	}
	if json.Unmarshal(configJSON, &config) == nil {
		model.Layers, model.Heads, model.KVHeads, model.Vocab = config.Layers, config.Heads, config.KVHeads, config.Vocab
	}
}
