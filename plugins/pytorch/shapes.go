package main

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed shapes/*.json
var shapeFiles embed.FS

// shapePrefix begins the ids of the built-in models. They have the shape of
// Llama and random weights.
const shapePrefix = "llem/random-"

// shapeNames are the built-in models, smallest first.
var shapeNames = []string{"tiny", "160m", "1b", "8b"}

// shape is the part of a model's config.json that arithmetic needs. 0 = not
// known: other architectures name their parts otherwise.
type shape struct {
	Architecture string `json:"model_type"`
	Hidden       int64  `json:"hidden_size"`
	Layers       int64  `json:"num_hidden_layers"`
	Heads        int64  `json:"num_attention_heads"`
	KVHeads      int64  `json:"num_key_value_heads"`
	HeadDim      int64  `json:"head_dim"`
	Intermediate int64  `json:"intermediate_size"`
	Vocab        int64  `json:"vocab_size"`
	Context      int64  `json:"max_position_embeddings"`
	Tied         bool   `json:"tie_word_embeddings"`
	DType        string `json:"dtype"`
	TorchDType   string `json:"torch_dtype"` // the key's older name
}

func shapeIDs() []string {
	ids := make([]string, len(shapeNames))
	for i, name := range shapeNames {
		ids[i] = shapePrefix + name
	}
	return ids
}

// builtIn returns the config of a built-in model, as transformers reads it, and
// its shape.
func builtIn(id string) (map[string]any, shape, error) {
	for i, known := range shapeIDs() {
		if known != id {
			continue
		}
		text, err := shapeFiles.ReadFile("shapes/" + shapeNames[i] + ".json")
		if err != nil {
			return nil, shape{}, err
		}
		var config map[string]any
		if err := json.Unmarshal(text, &config); err != nil {
			return nil, shape{}, err
		}
		s, err := readShape(text)
		return config, s, err
	}
	return nil, shape{}, fmt.Errorf("there is no built-in model %q", id)
}

func readShape(config []byte) (shape, error) {
	var s shape
	if err := json.Unmarshal(config, &s); err != nil {
		return s, err
	}
	if s.KVHeads == 0 {
		s.KVHeads = s.Heads
	}
	if s.HeadDim == 0 && s.Heads > 0 {
		s.HeadDim = s.Hidden / s.Heads
	}
	if s.DType == "" {
		s.DType = s.TorchDType
	}
	return s, nil
}

// parameters counts the weights of a Llama; 0 = not known for what is none.
func (s shape) parameters() int64 {
	if s.Architecture != "llama" {
		return 0
	}
	attention := 2*s.Hidden*s.Heads*s.HeadDim + 2*s.Hidden*s.KVHeads*s.HeadDim
	block := attention + 3*s.Hidden*s.Intermediate + 2*s.Hidden
	embeddings := s.Vocab * s.Hidden
	if !s.Tied {
		embeddings *= 2
	}
	return s.Layers*block + embeddings + s.Hidden
}

// kvBytesPerToken is what one token takes in the cache; 0 = not known.
func (s shape) kvBytesPerToken(bytesPerValue int64) int64 {
	return 2 * s.Layers * s.KVHeads * s.HeadDim * bytesPerValue
}
