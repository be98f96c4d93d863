package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

//go:embed shapes/*.json
var shapeFiles embed.FS

// shapePrefix begins the ids of the built-in models: the shape of a Llama, random
// weights, and no tokenizer, since requests are token ids.
const shapePrefix = "llem/random-"

const shapeNames = `"llem/random-tiny", "llem/random-160m", "llem/random-1b", "llem/random-8b"`

// builtIn is the config of a built-in model; nil = the model is another.
func builtIn(model sdk.Model) ([]byte, error) {
	name, ok := strings.CutPrefix(model.ID, shapePrefix)
	if !ok || model.Path != "" {
		return nil, nil
	}
	refuse := func(key, message, advice string) error {
		return &sdk.Error{Code: sdk.ModelMissing, KeyPath: key, Message: message, Advice: advice}
	}
	text, err := shapeFiles.ReadFile("shapes/" + name + ".json")
	switch {
	case err != nil:
		return nil, refuse("model.id", fmt.Sprintf("there is no built-in model %q", model.ID), "known are "+shapeNames)
	case model.Weights != sdk.WeightsDummy:
		return nil, refuse("model.weights", "the built-in models have random weights only", `set weights = "dummy"`)
	}
	return text, nil
}

// modelArguments name the model. A built-in one becomes a directory of the load.
func modelArguments(l openaiserver.Launch) (name string, more []string, err error) {
	model := l.Request.Cell.Model
	config, err := builtIn(model)
	if config == nil || err != nil {
		return l.Model(), nil, err
	}
	more = []string{"--skip-tokenizer-init"}
	if l.Request.WorkDir == "" { // nothing is started
		return model.ID, more, nil
	}
	dir, err := filepath.Abs(filepath.Join(l.Request.WorkDir, "model"))
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)
	}
	if err != nil {
		return "", nil, fmt.Errorf("write the built-in model's config: %w", err)
	}
	return dir, more, nil
}
