package main

import (
	"fmt"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/plugins/ggml/internal/engine"
	"github.com/llenergymeasure/llem/sdk"
)

// weightSeed is that of all random weights: a study varies its workload, not
// its model.
const weightSeed = 1

// settings is what a cell asks for, defaults filled in.
type settings struct {
	path    string           // a user's GGUF file; "" = random weights
	shape   dummy.Shape      // of random weights
	weights dummy.WeightType // of random weights, or what the file is said to have; may be ""
	options engine.Options
}

// settle reads a cell. What it finds wrong is in the diagnostics; the settings
// of a cell with an error among them are not to be used.
func settle(cell sdk.Cell) (settings, []sdk.Diagnostic) {
	p := cell.Parameters
	need := int(cell.Workload.MaxInputTokens) + int(cell.Workload.MaxOutputTokens)
	s := settings{
		path:    cell.Model.Path,
		weights: dummy.WeightType(p.String("weight_type", "")),
		options: engine.Options{
			Threads:        int(p.Int("threads", int64(engine.DefaultThreads()))),
			BatchSize:      int(p.Int("batch_size", defaultBatchSize)),
			KVType:         engine.KVType(p.String("kv_type", string(defaultKVType))),
			Context:        int(p.Int("context", int64(need))),
			FlashAttention: p.Bool("flash_attention", false),
		},
	}
	found := s.model(cell.Model)
	if s.options.Context < need {
		found = append(found, sdk.Diagnostic{
			Severity: sdk.SeverityError, KeyPath: "context",
			Message: fmt.Sprintf("%d tokens do not hold the workload's %d of prompt and %d of output",
				s.options.Context, cell.Workload.MaxInputTokens, cell.Workload.MaxOutputTokens),
			Advice: fmt.Sprintf("raise it to %d, or leave it out", need),
		})
	}
	return s, found
}

// model finds out which weights the cell asks for.
func (s *settings) model(m sdk.Model) []sdk.Diagnostic {
	refuse := func(key, advice, format string, args ...any) []sdk.Diagnostic {
		return []sdk.Diagnostic{{Severity: sdk.SeverityError, KeyPath: key, Message: fmt.Sprintf(format, args...), Advice: advice}}
	}
	random := fmt.Sprintf(`set weights = "dummy" and id to one of %s`, quoted(dummy.IDs()))
	switch {
	case m.Weights != sdk.WeightsDummy && m.Path != "":
		return nil
	case m.Weights != sdk.WeightsDummy:
		return refuse("model.path", "name a GGUF file, or "+random,
			"this backend downloads nothing, so it needs a file for the weights of %q", m.ID)
	case m.Path != "":
		return refuse("model.path", `leave it out, or set weights = "auto"`, "random weights are not read from a file")
	}
	shape, err := dummy.ByID(m.ID)
	if err != nil {
		return refuse("model.id", "", "%v", err)
	}
	if s.weights == "" {
		s.weights = defaultWeights
	}
	if err := shape.Validate(s.weights); err != nil {
		return refuse("weight_type", "", "%v", err)
	}
	s.shape = shape
	if m.Revision != "" {
		return []sdk.Diagnostic{{Severity: sdk.SeverityDormant, KeyPath: "model.revision", Message: "random weights have no revision"}}
	}
	return nil
}

// facts tells what the random model will be, before it is written. A user's
// file must be inspected for that.
func (s *settings) facts() engine.Facts {
	if s.path != "" {
		return engine.Facts{}
	}
	return engine.Facts{
		Architecture: "llama", Layers: s.shape.Layers, Width: s.shape.Width, Heads: s.shape.Heads,
		KVHeads: s.shape.KVHeads, HeadWidth: s.shape.HeadWidth(), Vocab: s.shape.Vocab, Context: s.shape.Context,
		Parameters: s.shape.Parameters(), WeightBytes: s.shape.Bytes(s.weights), WeightType: string(s.weights),
	}
}

// problems are what speaks against running a model with these settings.
func (s *settings) problems(f engine.Facts) []sdk.Diagnostic {
	var found []sdk.Diagnostic
	for _, p := range f.Problems(s.options) {
		found = append(found, sdk.Diagnostic{Severity: sdk.SeverityError, KeyPath: p.Key, Message: p.Message, Advice: p.Advice})
	}
	if s.path != "" && s.weights != "" && f.WeightType != "" && string(s.weights) != f.WeightType {
		found = append(found, sdk.Diagnostic{
			Severity: sdk.SeverityError, KeyPath: "weight_type",
			Message: fmt.Sprintf("%s, but most weights of %s have the type %s", s.weights, s.path, f.WeightType),
			Advice:  "leave it out: weights of a file are not converted",
		})
	}
	return found
}
