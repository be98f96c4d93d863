//go:build engines

package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// failingLoad is the error of a Load that is to fail.
func failingLoad(t *testing.T, c sdk.Cell) *sdk.Error {
	t.Helper()
	b := &backend{}
	_, err := b.Load(t.Context(), sdk.LoadRequest{Cell: c, WorkDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
	if unload := b.Unload(t.Context()); unload != nil {
		t.Error(unload)
	}
	var e *sdk.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	return e
}

func wantError(t *testing.T, e *sdk.Error, code sdk.Code, key, words string) {
	t.Helper()
	if e.Code != code || e.KeyPath != key || !strings.Contains(e.Error(), words) {
		t.Errorf("%s at %q: %v; want %s at %q with %q", e.Code, e.KeyPath, e, code, key, words)
	}
}

// Random weights are made in the number format and on the device asked for.
func TestRandomWeights(t *testing.T) {
	t.Parallel()
	for _, dtype := range []string{"float32", "float16", "bfloat16"} {
		c := engineCell(t, sdk.Table{"dtype": dtype, "batch_size": int64(4)})
		c.Model = sdk.Model{ID: "llem/random-tiny", Weights: sdk.WeightsDummy}
		b, report := loadEngine(t, c)
		m := report.Model
		if !m.RandomWeights || m.WeightType != dtype || report.Resolved["dtype"] != dtype || *m.Parameters != 5_475_584 || m.Base != "llem/random-tiny, random weights" {
			t.Errorf("%s: identity %+v, resolved %+v", dtype, m, report.Resolved)
		}
		if got := drive(t, b, batchOf4, workOf(4, prompts(4)...)); got.passes[0].OutputTokens != 16 {
			t.Errorf("%+v", got.passes)
		}
	}
}

// The config of a directory is enough for random weights.
func TestRandomWeightsOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join(fromEnvironment(t, "LLEM_TEST_MODEL"), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config.json"), config)
	c := engineCell(t, sdk.Table{})
	c.Model = sdk.Model{Path: dir, Weights: sdk.WeightsDummy}
	_, report := loadEngine(t, c)
	if m := report.Model; !m.RandomWeights || m.WeightType != "bfloat16" || *m.Parameters != 5_475_584 {
		t.Errorf("identity %+v", m)
	}
}

// A model of the hub, as its cache holds it: the revision is read back as the
// commit that it names.
func TestAModelOfTheHub(t *testing.T) {
	t.Parallel()
	const commit = "0123456789abcdef0123456789abcdef01234567"
	home := t.TempDir()
	repository := filepath.Join(home, "hub", "models--llem--tiny")
	snapshot := filepath.Join(repository, "snapshots", commit)
	for _, dir := range []string{snapshot, filepath.Join(repository, "refs")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(snapshot, os.DirFS(fromEnvironment(t, "LLEM_TEST_MODEL"))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(repository, "refs", "release"), []byte(commit))
	c := withEnvironment(t, engineCell(t, sdk.Table{}), "export HF_HUB_OFFLINE=1 HF_HOME="+home)
	c.Model = sdk.Model{ID: "llem/tiny", Revision: "release", Weights: sdk.WeightsAuto}
	_, report := loadEngine(t, c)
	if m := report.Model; m.RandomWeights || m.Revision != commit || m.Base != "llem/tiny@"+commit || m.WeightType != "bfloat16" {
		t.Errorf("identity %+v", m)
	}
	c.Model.ID = "llem/absent"
	wantError(t, failingLoad(t, c), sdk.ModelMissing, "model.id", "hf download")
}

// A hub that asks for a login, and one that knows no such model.
func TestAHubThatRefuses(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct {
		status int
		code   sdk.Code
		words  string
	}{
		"GatedRepo":    {http.StatusForbidden, sdk.Permission, "HF_TOKEN"},
		"RepoNotFound": {http.StatusNotFound, sdk.ModelMissing, "check model.id"},
	} {
		hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Error-Code", kind)
			w.Header().Set("X-Error-Message", "no")
			w.WriteHeader(want.status)
		}))
		t.Cleanup(hub.Close)
		c := withEnvironment(t, engineCell(t, sdk.Table{}), "export HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz HF_ENDPOINT="+hub.URL+" HF_HOME="+t.TempDir())
		c.Model = sdk.Model{ID: "llem/private", Weights: sdk.WeightsAuto}
		e := failingLoad(t, c)
		wantError(t, e, want.code, "model.id", want.words)
		if strings.Contains(e.Error(), "hf_abc") {
			t.Errorf("%s: a token is in %v", kind, e)
		}
	}
}

// A hub's cache that takes no more: the worker may write no file, as on a full
// disk or over a quota.
func TestAFullHubCache(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile(filepath.Join(fromEnvironment(t, "LLEM_TEST_MODEL"), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/config.json") {
			w.Header().Set("X-Error-Code", "EntryNotFound")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", `"1234567890"`)
		w.Header().Set("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
		http.ServeContent(w, r, "config.json", time.Time{}, bytes.NewReader(config))
	}))
	t.Cleanup(hub.Close)
	home := t.TempDir()
	c := withEnvironment(t, engineCell(t, sdk.Table{}), "export HF_HUB_DISABLE_XET=1 HF_ENDPOINT="+hub.URL+" HF_HOME="+home, "ulimit -f 0")
	c.Model = sdk.Model{ID: "llem/full", Revision: "main", Weights: sdk.WeightsDummy}
	wantError(t, failingLoad(t, c), sdk.Internal, "", home)
}

func TestLoadsThatFail(t *testing.T) {
	t.Parallel()
	truncated := naturalModel(t)
	file := filepath.Join(truncated, "model.safetensors")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, whole[:len(whole)/2])
	incomplete := naturalModel(t)
	write(t, filepath.Join(incomplete, "model.safetensors"), bytes.Replace(whole, []byte("layers.0.mlp.down_proj"), []byte("layers.0.mlp.down_proX"), 1))
	for _, c := range []struct {
		name       string
		parameters sdk.Table
		path       string
		code       sdk.Code
		key, words string
	}{
		{"truncated weights", nil, truncated, sdk.ModelMissing, "model.path", "not wholly copied"},
		{"a tensor is missing", nil, incomplete, sdk.ModelMissing, "model.path", "no weights for model.layers.0.mlp.down_proj.weight of LlamaForCausalLM"},
		{"no directory", nil, "/nowhere", sdk.ModelMissing, "model.path", "/nowhere"},
		{"no GPU", sdk.Table{"device": "cuda"}, "", sdk.DeviceMissing, "device", `device = "cpu"`},
		{"misspelt extra", sdk.Table{"extra": sdk.Table{"repetition_penality": 1.1}}, "", sdk.UnsupportedParameter, "extra.repetition_penality", "no"},
		{"no such attention", sdk.Table{"attn_implementation": "flash_attention_2"}, "", sdk.EngineMissing, "", ""},
		{"no interpreter", sdk.Table{"python": "/nowhere/python"}, "", sdk.EngineMissing, "python", "/nowhere/python"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wrong := engineCell(t, c.parameters)
			if c.path != "" {
				wrong.Model.Path = c.path
			}
			wantError(t, failingLoad(t, wrong), c.code, c.key, c.words)
		})
	}
}

// Weights beyond the model's are told of.
func TestWeightsWithoutUse(t *testing.T) {
	t.Parallel()
	c := engineCell(t, nil)
	c.Model.Path = naturalModel(t)
	file := filepath.Join(c.Model.Path, "config.json")
	config, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shallow := bytes.Replace(config, []byte(`"num_hidden_layers": 6`), []byte(`"num_hidden_layers": 5`), 1)
	if bytes.Equal(shallow, config) {
		t.Fatalf("no six layers in %s", config)
	}
	write(t, file, shallow)
	_, report := loadEngine(t, c)
	if w := report.Warnings; len(w) != 1 || w[0].Code != "weights_unused" || !strings.Contains(w[0].Message, "model.layers.5.") || !strings.Contains(w[0].Message, "more") {
		t.Errorf("warnings %+v", w)
	}
}

// What this machine's environment has, as Check finds it.
func TestCheckOfARealEnvironment(t *testing.T) {
	t.Parallel()
	c := engineCell(t, sdk.Table{"extra": sdk.Table{"repetition_penalty": 1.1, "max_memory": sdk.Table{}}})
	got := check(t, c, sdk.DepthEnvironment)
	if len(got.Diagnostics) > 0 || len(got.Devices) != 1 || got.Devices[0].Kind != "cpu" {
		t.Errorf("%+v", got)
	}
	if m := got.Memory; m == nil || *m.WeightsBytes != 2*5_475_584 || *m.KVBytesPerToken != 6*4*32*2*2 {
		t.Errorf("memory %+v", m)
	}
	c.Parameters["extra"] = sdk.Table{"repetition_penality": 1.1}
	wantOne(t, check(t, c, sdk.DepthEnvironment).Diagnostics, sdk.SeverityError, "extra.repetition_penality", `did you mean "repetition_penalty"?`)
	c.Parameters["extra"], c.Workload.MaxInputTokens = sdk.Table{}, 2048
	wantOne(t, check(t, c, sdk.DepthEnvironment).Diagnostics, sdk.SeverityError, "workload.input_tokens", "context of 2048")
	c = engineCell(t, sdk.Table{"device": "cuda"})
	wantOne(t, check(t, c, sdk.DepthEnvironment).Diagnostics, sdk.SeverityError, "device", "driver names no GPU")
}

// Failures that need a full disk or a full GPU are told in Python from the
// errors that those raise.
func TestFailuresThatCannotBeMadeHere(t *testing.T) {
	t.Parallel()
	command := exec.Command(fromEnvironment(t, "LLEM_TEST_PYTHON"), "testdata/failures.py", "internal/worker/python")
	if text, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
