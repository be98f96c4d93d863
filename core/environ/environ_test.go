package environ

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

func plant(t *testing.T, tree map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range tree {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTrees(t *testing.T) {
	for name, tree := range trees() {
		e := SnapshotAt(t.Context(), plant(t, tree))
		if _, err := time.Parse(time.RFC3339, e.TakenUTC); err != nil {
			t.Error(err)
		}
		if e.Host.GOARCH != runtime.GOARCH || e.Build.GoVersion != runtime.Version() {
			t.Errorf("%s: %+v, %+v", name, e.Host, e.Build)
		}
		// What differs from one machine that runs the test to another.
		e.TakenUTC, e.Host.GOARCH, e.Host.GOOS, e.Build = "", "", "", Build{}
		delete(e.Absent, "build.revision")
		text, err := json.MarshalIndent(e, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, append(text, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		complete(t, name, e)
	}
}

// groups hold several values that are absent together.
var groups = []string{"cpu", "memory", "numa", "gpus", "build", "load_average"}

// complete checks that every empty value has a reason in Absent, and that no
// value is both there and absent.
func complete(t *testing.T, name string, e Environment) {
	t.Helper()
	for _, part := range []struct {
		key   string
		value any
	}{{"host", e.Host}, {"cpu", e.CPU}, {"memory", e.Memory}, {"container", e.Container}, {"virtual", e.Virtual}, {"clock", e.Clock}} {
		v := reflect.ValueOf(part.value)
		for i := range v.NumField() {
			field, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			key := part.key + "." + field
			reason, absent := e.Absent[key]
			switch {
			case key == "host.goos" || key == "host.goarch" || key == "container.evidence":
			case v.Field(i).IsZero() && !absent && !known(e, part.key):
				t.Errorf("%s: %s is neither there nor absent", name, key)
			case !v.Field(i).IsZero() && absent:
				t.Errorf("%s: %s is there and absent (%s)", name, key, reason)
			}
		}
	}
	if len(e.NUMA) == 0 && e.Absent["numa"] == "" || len(e.GPUs) == 0 && e.Absent["gpus"] == "" || len(e.LoadAverage) == 0 && e.Absent["load_average"] == "" {
		t.Errorf("%s: a list is empty without a reason", name)
	}
}

func known(e Environment, part string) bool {
	for _, g := range groups {
		if g == part && e.Absent[g] != "" {
			return true
		}
	}
	return false
}

func TestThisMachine(t *testing.T) {
	e := Snapshot(t.Context())
	complete(t, "this machine", e)
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if e.Host.Name != name || e.Host.Kernel == "" || e.Host.BootID == "" {
		t.Errorf("host: %+v", e.Host)
	}
	if e.CPU.Threads == nil || *e.CPU.Threads < 1 || e.Memory.TotalBytes == nil || *e.Memory.TotalBytes < 1<<20 || e.Clock.Source == "" && e.Absent["clock.source"] == "" {
		t.Errorf("cpu %+v, memory %+v, clock %+v", e.CPU, e.Memory, e.Clock)
	}
	if e.Clock.Synchronised == nil && e.Absent["clock.synchronised"] == "" {
		t.Error("whether the clock is synchronised is neither known nor absent")
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Environment
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, back); diff != "" {
		t.Errorf("JSON (-taken +read):\n%s", diff)
	}
}

func TestImageComesFromTheEnvironment(t *testing.T) {
	t.Setenv("LLEM_IMAGE", "registry/llem:1")
	if e := Snapshot(t.Context()); e.Container.Image != "registry/llem:1" || e.Absent["container.image"] != "" {
		t.Errorf("%+v", e.Container)
	}
	if e := SnapshotAt(t.Context(), t.TempDir()); e.Container.Image != "" {
		t.Error("another machine has this one's image")
	}
}

func TestWhatTimeDoesNotAllowIsAbsent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := Snapshot(ctx)
	for _, key := range []string{"host", "cpu", "gpus", "build"} {
		if !strings.Contains(e.Absent[key], "context canceled") {
			t.Errorf("%s: %q", key, e.Absent[key])
		}
	}
}
