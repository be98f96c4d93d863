package llem_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/llenergymeasure/llem"

// listed is what `go list` says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	command := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Deps,Module"}, args...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, stderr.String())
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(output)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func under(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

// TestWalls: cmd -> package llem -> registry, core -> sdk, and never back.
func TestWalls(t *testing.T) {
	seen := 0
	for _, p := range goList(t, "work") {
		for _, to := range p.Deps {
			if !under(to, module) {
				continue
			}
			refuse := ""
			switch {
			case under(p.ImportPath, module+"/sdk"):
				if !under(to, module+"/sdk") {
					refuse = "the sdk knows nothing above it"
				}
			case under(p.ImportPath, module+"/plugins"):
				own := strings.SplitN(strings.TrimPrefix(p.ImportPath, module+"/plugins/"), "/", 2)[0]
				if !under(to, module+"/sdk") && !under(to, module+"/plugins/"+own) {
					refuse = "plugins import the sdk and nothing else of this repository"
				}
			case under(p.ImportPath, module+"/core"):
				if !under(to, module+"/core") && !under(to, module+"/sdk") {
					refuse = "core declares what it needs and imports the sdk only"
				}
			case under(p.ImportPath, module+"/registry"):
				if !under(to, module+"/registry") && !under(to, module+"/sdk") {
					refuse = "the registry imports the sdk only"
				}
			case p.ImportPath == module:
				if under(to, module+"/cmd") || under(to, module+"/plugins") {
					refuse = "the library knows neither the command nor plugins"
				}
			case under(to, module+"/plugins"):
				refuse = "plugins are reached by their processes only"
			}
			if refuse != "" {
				t.Errorf("%s depends on %s: %s", p.ImportPath, to, refuse)
			}
			seen++
		}
	}
	if seen < 50 {
		t.Errorf("only %d dependencies within the repository were seen", seen)
	}
}

// TestContractTypesAreStandard: what plugin authors write against pulls in
// nothing.
func TestContractTypesAreStandard(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range goList(t, "std") {
		standard[p.ImportPath] = true
	}
	for _, p := range goList(t, module+"/sdk") {
		for _, to := range p.Deps {
			// The standard library's own copies are listed as vendor/...
			if !standard[to] && to != "C" && !under(to, module+"/sdk") {
				t.Errorf("%s depends on %s", p.ImportPath, to)
			}
		}
	}
}

// TestModules: each plugin is a module of the workspace, examples stand
// outside of it, and no go.mod replaces anything.
func TestModules(t *testing.T) {
	mods, err := filepath.Glob("*/go.mod")
	plugins, err2 := filepath.Glob("plugins/*/go.mod")
	examples, err3 := filepath.Glob("examples/plugins/*/go.mod")
	if err := errors.Join(err, err2, err3); err != nil || len(plugins) == 0 || len(examples) == 0 {
		t.Fatalf("modules: %v, %v, %v", plugins, examples, err)
	}
	for _, file := range slices.Concat([]string{"go.mod"}, mods, plugins, examples) {
		var mod struct{ Replace []any }
		modJSON(t, &mod, "mod", file)
		if len(mod.Replace) > 0 {
			t.Errorf("%s replaces modules: `go install` refuses such a one", file)
		}
	}
	var work struct{ Use []struct{ DiskPath string } }
	modJSON(t, &work, "work", "go.work")
	want := []string{".", "./sdk"}
	for _, file := range plugins {
		want = append(want, "./"+filepath.Dir(file))
	}
	var got []string
	for _, use := range work.Use {
		got = append(got, use.DiskPath)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("go.work uses %v, expected %v", got, want)
	}
}

func modJSON(t *testing.T, into any, kind, file string) {
	t.Helper()
	output, err := exec.Command("go", kind, "edit", "-json", file).Output()
	if err == nil {
		err = json.Unmarshal(output, into)
	}
	if err != nil {
		t.Fatalf("go %s edit -json %s: %v", kind, file, err)
	}
}
