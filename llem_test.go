package llem_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/registry"
)

// The command, and a directory with the simulator installed.
var command, pluginDir string

func TestMain(m *testing.M) { os.Exit(withPlugins(m)) }

func withPlugins(m *testing.M) int {
	dir, err := os.MkdirTemp("", "llem-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		panic(err)
	}
	os.Setenv("GOCACHE", strings.TrimSpace(string(cache))) // not among those below
	for _, name := range []string{"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"} {
		os.Setenv(name, filepath.Join(dir, name))
	}
	command, pluginDir = filepath.Join(dir, "llem"), filepath.Join(dir, "plugins")
	simulator := filepath.Join(dir, "sim")
	for _, argv := range [][]string{
		{"go", "build", "-o", command, "./cmd/llem"},
		{"go", "build", "-o", simulator, "./plugins/sim"},
		{command, "plugins", "install", "--dir", pluginDir, simulator},
	} {
		if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			panic(fmt.Sprintf("%v: %v\n%s", argv, err, output))
		}
	}
	return m.Run()
}

// write makes a study file of one cell, or of two with extra text.
func write(t *testing.T, extra string) *study.Study {
	t.Helper()
	path := filepath.Join(t.TempDir(), "study.toml")
	text := "name = \"x\"\nbackend = \"sim\"\nenergy = [\"sim\"]\nmodel.id = \"sim\"\nworkload = {requests = 8, input_tokens = 8, output_tokens = 8}\nload.mode = \"batch\"\n" +
		"protocol = {warmup = \"fast\", idle_s = 0, conditioning_s = 0.1, window_s = 0.5, cycles = 1}\n" + extra
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := study.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func settings(t *testing.T) llem.Settings {
	return llem.Settings{PluginDirs: []string{pluginDir}, ResultsDir: filepath.Join(t.TempDir(), "results")}
}

func TestRunExperimentRefusesTwoCells(t *testing.T) {
	e := llem.Experiment{Spec: write(t, "sweep.backends.sim.batch_size = [1, 2]\n"), Settings: settings(t)}
	_, err := llem.RunExperiment(t.Context(), e)
	if want := "run experiment x: the study has 2 cells and an experiment has one; use RunStudy"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(e.ResultsDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was started: %v", err)
	}
}

func TestStudyWithoutSpec(t *testing.T) {
	if _, err := llem.RunStudy(t.Context(), llem.Study{}); err == nil || !strings.Contains(err.Error(), "Spec is nil") {
		t.Errorf("got %v", err)
	}
}

// The lock is written by the first run, extended by plugins that are new to
// the study, and no more than a warning where it cannot be written.
func TestLockIsKept(t *testing.T) {
	t.Parallel()
	s := write(t, "")
	path := llem.LockPath(s.Path)
	other := strings.Repeat("0", 64)
	old := &registry.Lock{Plugins: map[string]registry.LockedPlugin{"other": {Version: "1.0.0", Protocol: 1, Digest: "sha256:" + other}}}
	if err := registry.WriteLock(path, old); err != nil {
		t.Fatal(err)
	}
	if p, err := llem.Prepare(t.Context(), llem.Study{Spec: s, Settings: settings(t)}); err != nil || len(p.Warnings()) != 0 {
		t.Fatalf("prepare: %v", err)
	}
	if lock, err := registry.ReadLock(path); err != nil || len(lock.Plugins) != 1 {
		t.Errorf("preparing wrote the lock: %v, %v", lock, err)
	}
	r, err := llem.RunStudy(t.Context(), llem.Study{Spec: s, Settings: settings(t)})
	if err != nil || len(r.Trials) != 1 {
		t.Fatalf("run: %v, %d trials, failed %v", err, len(r.Trials), r.Failed)
	}
	lock, err := registry.ReadLock(path)
	if err != nil || lock.Plugins["sim"].Version == "" || lock.Plugins["other"].Digest != "sha256:"+other {
		t.Errorf("the lock holds %v, %v", lock, err)
	}

	s = write(t, "")
	// Read-only for everybody, root included: a lock cannot replace a directory.
	p, err := llem.Prepare(t.Context(), llem.Study{Spec: s, Settings: settings(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(llem.LockPath(s.Path), "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r, err := p.Run(t.Context()); err != nil || len(r.Trials) != 1 {
		t.Errorf("run: %v, %d trials", err, len(r.Trials))
	}
	if w := p.Warnings(); len(w) != 1 || w[0].Code != "lock_not_written" {
		t.Errorf("warnings: %v", w)
	}
}

// The plugins that "auto" comes to are locked once they have opened, and from
// then on a changed one is refused and not passed over.
func TestWhatAutoComesToIsLocked(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"hostpower", "rapl"} {
		binary := filepath.Join(dir, name)
		for _, argv := range [][]string{{"go", "build", "-o", binary, "./plugins/" + name}, {command, "plugins", "install", "--dir", filepath.Join(dir, "plugins"), binary}} {
			if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", argv, err, output)
			}
		}
	}
	s := llem.Study{Spec: write(t, ""), Settings: llem.Settings{PluginDirs: []string{pluginDir, filepath.Join(dir, "plugins")}, ResultsDir: t.TempDir()}}
	s.Spec.Energy = []string{"auto"}
	r, err := llem.RunStudy(t.Context(), s)
	if err != nil || len(r.Trials) != 1 {
		t.Fatalf("run: %v, %d trials, failed %v", err, len(r.Trials), r.Failed)
	}
	want := []string{"sim"}
	for _, source := range r.Trials[0].Sources {
		if source.Plugin.Name != "" { // nvml has none
			want = append(want, source.Plugin.Name)
		}
	}
	slices.Sort(want)
	if len(want) < 2 {
		t.Fatalf("auto came to no plugin: %+v", r.Trials[0].Sources)
	}
	path := llem.LockPath(s.Spec.Path)
	for _, file := range []string{path, filepath.Join(r.Dir, registry.LockFile)} {
		lock, err := registry.ReadLock(file)
		if err != nil || !slices.Equal(slices.Sorted(maps.Keys(lock.Plugins)), want) {
			t.Fatalf("%s holds %v, expected %v (%v)", file, lock, want, err)
		}
	}
	lock, _ := registry.ReadLock(path)
	for _, name := range want[:len(want)-1] { // sim is last
		changed := lock.Plugins[name]
		changed.Digest = "sha256:" + strings.Repeat("0", 64)
		lock.Plugins[name] = changed
	}
	if err := registry.WriteLock(path, lock); err != nil {
		t.Fatal(err)
	}
	if _, err := llem.Prepare(t.Context(), s); err == nil || !strings.Contains(err.Error(), "energy: plugin "+want[0]+" in ") || !strings.Contains(err.Error(), "is not the one that") {
		t.Errorf("a changed source: %v", err)
	}
}

// What does not change the measurement does not change a cell's id, and cells
// that differ in nothing else are one.
func TestWhatIsNotMeasuredIsNoPartOfTheID(t *testing.T) {
	ids := map[string]string{}
	for name, extra := range map[string]string{
		"plain": "", "path": "[backends.sim]\nload_ms = 1\n", "measured": "[backends.sim]\nstep_us = 900\n",
	} {
		prepared, err := llem.Prepare(t.Context(), llem.Study{Spec: write(t, extra), Settings: llem.Settings{PluginDirs: []string{pluginDir}}})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = prepared.Cells[0].ID
		if planned := prepared.Plan.Cells[0].ID; planned != ids[name] {
			t.Errorf("the plan calls the cell %s, it is %s", planned, ids[name])
		}
	}
	if ids["plain"] != ids["path"] || ids["plain"] == ids["measured"] {
		t.Errorf("ids %v", ids)
	}
	_, err := llem.Prepare(t.Context(), llem.Study{
		Spec:     write(t, "[experiments.a]\n[experiments.b]\nbackends.sim.load_ms = 1\n"),
		Settings: llem.Settings{PluginDirs: []string{pluginDir}},
	})
	if err == nil || !strings.Contains(err.Error(), `"b" differs from "a" only in settings that do not change what is measured`) {
		t.Errorf("two names of one cell: %v", err)
	}
}

// Probes that differ in nothing that is measured are one, too, and every cell
// knows its own by the final id.
func TestProbesHaveFinalIDs(t *testing.T) {
	spec := write(t, "[experiments.a]\n[experiments.b]\nworkload.output_tokens = 16\nbackends.sim.load_ms = 1\n[experiments.c]\nworkload.input_tokens = 16\n")
	spec.Protocol.PhaseProbes = true
	p, err := llem.Prepare(t.Context(), llem.Study{Spec: spec, Settings: llem.Settings{PluginDirs: []string{pluginDir}}})
	if err != nil {
		t.Fatal(err)
	}
	if cells, probes := p.Counts(); cells != 3 || probes != 2 || len(p.Checks) != 5 || len(p.Plan.Blocks[0].Order) != 5 {
		t.Fatalf("%d cells and %d probes, %d checks, block %v", cells, probes, len(p.Checks), p.Plan.Blocks[0].Order)
	}
	for i, probe := range []int{3, 3, 4} {
		if p.Cells[i].ProbeID != p.Cells[probe].ID || !p.Cells[probe].Probe || !p.Plan.Cells[probe].Probe {
			t.Errorf("cell %s has the probe %s, want %+v", p.Cells[i].Label, p.Cells[i].ProbeID, p.Cells[probe])
		}
	}
	e := llem.Experiment{Spec: write(t, "sweep.backends.sim.batch_size = [1, 2]\n"), Settings: settings(t)}
	e.Spec.Protocol.PhaseProbes = true
	if _, err := llem.RunExperiment(t.Context(), e); err == nil || !strings.Contains(err.Error(), "has 2 cells") {
		t.Errorf("got %v", err)
	}
}

// Settings of a source hold for what "auto" comes to, and settings that nothing
// opens are refused.
func TestSettingsOfSourcesAreNotIgnored(t *testing.T) {
	settings := llem.Settings{PluginDirs: []string{pluginDir}, ResultsDir: t.TempDir()}
	spec := write(t, "[sources.hostpower]\nplugin = \"sim\"\npower_w = 42\n")
	_, err := llem.Prepare(t.Context(), llem.Study{Spec: spec, Settings: settings})
	if err == nil || !strings.Contains(err.Error(), "sources.hostpower: `energy` does not name it") {
		t.Errorf("a source that is not opened: %v", err)
	}
	spec.Energy = []string{"auto"}
	r, err := llem.RunExperiment(t.Context(), llem.Experiment{Spec: spec, Settings: settings})
	if err != nil || len(r.Trials) != 1 {
		t.Fatalf("%d trials, %v, failed: %+v", len(r.Trials), err, r.Failed)
	}
	if w := r.Trials[0].Windows[0].MeanPowerW; w == nil || *w < 41.99 || *w > 42.01 {
		t.Errorf("mean power %v W, the study's settings say 42", w)
	}
}

// A trial that was planned and is not there is told of.
func TestMissingTrialsAreToldOf(t *testing.T) {
	spec := write(t, "")
	spec.Protocol.Cycles = 2
	r, err := llem.RunStudy(t.Context(), llem.Study{Spec: spec, Settings: llem.Settings{PluginDirs: []string{pluginDir}, ResultsDir: t.TempDir()}})
	if err != nil || len(r.Summary.Problems) != 0 {
		t.Fatalf("%v, problems %q", err, r.Summary.Problems)
	}
	if err := os.RemoveAll(filepath.Join(r.Dir, r.Trials[1].Dir)); err != nil {
		t.Fatal(err)
	}
	again, err := llem.Report(r.Dir, study.UserConfig{}, llem.FactorsDefault)
	summary := again.Summary
	if want := (result.Problem{Code: "trials_missing", Message: "sim: 1 of 2 planned trials are missing (block 2): they were not run or interrupted, or are lost"}); err != nil || len(summary.Problems) != 1 || summary.Problems[0] != want {
		t.Errorf("problems %q, %v", summary.Problems, err)
	}
}

// A model's path is the study's business, wherever the plugin runs.
func TestARelativeModelPathLiesBesideTheStudy(t *testing.T) {
	spec := write(t, "")
	spec.Model.Path = "weights/m.gguf"
	prepared, err := llem.Prepare(t.Context(), llem.Study{Spec: spec, Settings: llem.Settings{PluginDirs: []string{pluginDir}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := prepared.Cells[0].Model.Path, filepath.Join(filepath.Dir(spec.Path), "weights", "m.gguf"); got != want {
		t.Errorf("path %q, want %q", got, want)
	}
}
