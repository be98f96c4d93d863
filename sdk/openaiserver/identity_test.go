package openaiserver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

func TestADirectoryIsKnownByItsContent(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := sdk.ModelDigest(t.Context(), dir)
	if err != nil || want == "" {
		t.Fatal(want, err)
	}
	for _, c := range []struct {
		model    sdk.Model
		settings sdk.Table
		want     string
	}{
		{sdk.Model{Path: dir}, nil, want},
		{sdk.Model{Path: dir}, sdk.Table{modeKey: modeAttach}, ""},
		{sdk.Model{Path: dir, Weights: sdk.WeightsDummy}, nil, ""},
		{sdk.Model{Path: filepath.Join(dir, "config.json")}, nil, ""}, // such as a GGUF file
		{sdk.Model{Path: filepath.Join(dir, "none")}, nil, ""},
		{sdk.Model{Path: t.TempDir()}, nil, ""},
		{sdk.Model{ID: "org/model"}, nil, ""},
	} {
		b := &backend{settings: c.settings}
		if got := b.startDigest(t.Context(), c.model)(); got != c.want {
			t.Errorf("%+v, %v: %q, want %q", c.model, c.settings, got, c.want)
		}
	}
}

func TestModelsAreNamedAsOtherBackendsNameThem(t *testing.T) {
	const commit, other = "0e9e39f249a16976918f6564b8830bc894c89659", "1111111111111111111111111111111111111111"
	hub := t.TempDir()
	refs := filepath.Join(hub, "hub", "models--org--model", "refs")
	if err := os.MkdirAll(filepath.Join(refs, "refs", "pr"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"main": commit, "refs/pr/7": other + "\n", "broken": "no commit"} {
		if err := os.WriteFile(filepath.Join(refs, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HF_HOME", filepath.Join(hub, "elsewhere"))
	t.Setenv("HF_HUB_CACHE", "")
	env := sdk.Table{"HF_HOME": hub}
	started := &process{}
	for want, c := range map[string]struct {
		model    sdk.Model
		settings sdk.Table
		process  *process
		base     string
		digest   string
	}{
		"llem/random-tiny, random weights": {model: sdk.Model{ID: "llem/random-tiny", Weights: sdk.WeightsDummy}, process: started},
		"/m, random weights":               {model: sdk.Model{ID: "org/model", Path: "/m", Weights: sdk.WeightsDummy}, process: started},
		"/m":                               {model: sdk.Model{ID: "org/model", Path: "/m", Revision: "main"}, process: started},
		"sha256:0":                         {model: sdk.Model{Path: "/m"}, process: started, digest: "sha256:0"},
		"org/model@" + commit:              {model: sdk.Model{ID: "org/model"}, settings: env, process: started},
		"org/model@" + other:               {model: sdk.Model{ID: "org/model", Revision: "refs/pr/7"}, settings: sdk.Table{"HF_HUB_CACHE": filepath.Join(hub, "hub")}, process: started},
		"new/model@" + commit:              {model: sdk.Model{ID: "new/model", Revision: commit}, process: started},
		"org/model@broken":                 {model: sdk.Model{ID: "org/model", Revision: "broken"}, settings: env, process: started},
		"org/unseen":                       {model: sdk.Model{ID: "org/unseen"}, settings: env, process: started},
		"org/model":                        {model: sdk.Model{ID: "org/model"}, settings: env}, // attached
		"the engine's word":                {model: sdk.Model{ID: "org/model", Weights: sdk.WeightsDummy}, process: started, base: "the engine's word"},
	} {
		b := &backend{settings: sdk.Table{envKey: c.settings}, process: c.process}
		report := sdk.LoadReport{}
		report.Model.RandomWeights = c.model.Weights == sdk.WeightsDummy
		report.Model.Revision = c.model.Revision
		report.Model.Base = modelOf(sdk.Cell{Model: c.model})
		if c.base != "" {
			report.Model.Base = c.base
		}
		if b.identify(&report, c.model, c.digest); report.Model.Base != want {
			t.Errorf("%+v: %q, want %q", c.model, report.Model.Base, want)
		}
	}
}
