package registry

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// sample is the built testdata/plugin.
var sample string

func TestMain(m *testing.M) { os.Exit(withSample(m)) }

func withSample(m *testing.M) int {
	dir, err := os.MkdirTemp("", "registry-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	sample = filepath.Join(dir, "sample")
	build := exec.Command("go", "build", "-o", sample, "./testdata/plugin")
	if output, err := build.CombinedOutput(); err != nil {
		os.Stderr.Write(output)
		panic(err)
	}
	return m.Run()
}

// writeSample makes root/sample with the real plugin, started with arguments.
func writeSample(t *testing.T, root string, change func(*Manifest), arguments ...string) string {
	t.Helper()
	binary, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	return writePlugin(t, root, "sample", map[string]string{"sample": string(binary)}, func(m *Manifest) {
		m.Command = append(m.Command, arguments...)
		if change != nil {
			change(m)
		}
	})
}

// starts counts the lines that the plugin wrote to its -starts file.
func starts(t *testing.T, file string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n")
}

func TestStart(t *testing.T) {
	root := t.TempDir()
	dir := writeSample(t, root, nil)
	r := open(t, Options{CoreVersion: "0.1.0"}, Dir{root, OriginUser})
	lock, err := r.LockFor([]string{"sample"})
	if err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{CoreVersion: "0.1.0", Lock: lock}, Dir{root, OriginUser})
	p, entry, err := r.Start(t.Context(), "sample", host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Description().Name; got != "sample" || entry.Dir != dir {
		t.Errorf("started %s from %s", got, entry.Dir)
	}
	p.Kill()
	<-p.Exited()
}

func TestArgv(t *testing.T) {
	entry := Entry{Manifest: Manifest{Command: []string{"python3", "-u", "lib/plugin.py", "x"}, Files: map[string]string{"lib/plugin.py": someDigest}}, Dir: "/p/a"}
	if diff := cmp.Diff([]string{"python3", "-u", "/p/a/lib/plugin.py", "x"}, entry.Argv()); diff != "" {
		t.Error(diff)
	}
	if entry.Command[2] != "lib/plugin.py" {
		t.Error("Argv changed the manifest")
	}
}

func TestStartRefuses(t *testing.T) {
	for _, test := range []struct {
		name      string
		arguments []string
		change    func(*Manifest)
		spoil     func(dir string) error
		want      string // DIR stands for the plugin's directory
	}{
		{name: "changed file", spoil: func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, "sample"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("x")
			return errors.Join(err, f.Close())
		}, want: "DIR/sample has changed since it was installed"},
		{name: "missing file", spoil: func(dir string) error { return os.Remove(filepath.Join(dir, "sample")) },
			want: "check DIR/sample: statat sample: no such file or directory; install the plugin again with `llem plugins install PATH`"},
		{name: "not executable", spoil: func(dir string) error { return os.Chmod(filepath.Join(dir, "sample"), 0o644) },
			want: "plugin sample: DIR/sample is not executable; run `chmod +x DIR/sample`"},
		{name: "no interpreter", change: func(m *Manifest) { m.Command = []string{"python99", "sample"} },
			want: "plugin sample: the command \"python99\" is neither among its files nor found in PATH"},
		{name: "another name", arguments: []string{"-name=other"},
			want: "plugin sample: DIR/plugin.toml: name: the manifest says \"sample\", the plugin itself \"other\"; install it again with `llem plugins install PATH`"},
		{name: "another version", arguments: []string{"-version=2.0.0"},
			want: "plugin sample: DIR/plugin.toml: version: the manifest says 1.0.0, the plugin itself 2.0.0; install it again"},
		{name: "another kind", change: func(m *Manifest) { m.Kinds = []string{"backend", "energy source"} },
			want: "plugin sample: DIR/plugin.toml: kinds: the manifest says backend, energy source, the plugin itself backend; install it again"},
		{name: "newer core wanted", arguments: []string{"-least-core=0.2.0"},
			want: "plugin sample needs llem 0.2.0 or newer, this is llem 0.1.0; update llem, or install an older sample"},
		{name: "a secret in a table", arguments: []string{"-fault=secret"},
			want: "plugin sample: its schema cannot be used: parameter hub.token: a secret inside a table is never resolved"},
		{name: "another protocol", change: func(m *Manifest) { m.Protocol = 2 },
			want: "the plugin speaks version 2 of the plugin contract, this llem speaks 1"},
		{name: "garbage before the handshake", arguments: []string{"-fault=garbage"}, want: "plugin sample: start plugin DIR/sample: it printed \"Loading CUDA libraries, please wait\" where the handshake was expected"},
		{name: "exits at once", arguments: []string{"-fault=exit"}, want: "plugin sample: start plugin DIR/sample: it exited with code 3 before the handshake; its last words: libcuda.so.1: cannot open"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			dir := writeSample(t, root, test.change, test.arguments...)
			r := open(t, Options{CoreVersion: "0.1.0"}, Dir{root, OriginUser})
			if test.spoil != nil {
				if err := test.spoil(dir); err != nil {
					t.Fatal(err)
				}
			}
			p, _, err := r.Start(t.Context(), "sample", host.Options{})
			if err == nil {
				p.Kill()
				t.Fatal("it was started")
			}
			if want := strings.ReplaceAll(test.want, "DIR", dir); !strings.Contains(err.Error(), want) {
				t.Errorf("\n got %v\nwant %s", err, want)
			}
		})
	}
}

// A plugin that the lock refuses is not executed, not even to be described.
func TestLockIsAskedBeforeStart(t *testing.T) {
	root, file := t.TempDir(), filepath.Join(t.TempDir(), "starts")
	writeSample(t, root, nil, "-starts="+file)
	lock := &Lock{Plugins: map[string]LockedPlugin{"sample": {Version: "1.0.0", Protocol: 1, Digest: lockedDigest}}}
	r := open(t, Options{Lock: lock}, Dir{root, OriginUser})
	if _, _, err := r.Start(t.Context(), "sample", host.Options{}); !errors.Is(err, ErrLockChanged) {
		t.Errorf("Start: %v", err)
	}
	if _, err := r.Describe(t.Context(), "sample"); !errors.Is(err, ErrLockChanged) {
		t.Errorf("Describe: %v", err)
	}
	if n := starts(t, file); n != 0 {
		t.Errorf("started %d times", n)
	}
}

func TestDescribeStartsOnce(t *testing.T) {
	root, file, cacheDir := t.TempDir(), filepath.Join(t.TempDir(), "starts"), t.TempDir()
	dir := writeSample(t, root, nil, "-starts="+file)
	o := Options{CacheDir: cacheDir, CoreVersion: "0.1.0"}
	describe := func(o Options) sdk.DescribeReport {
		t.Helper()
		report, err := open(t, o, Dir{root, OriginUser}).Describe(t.Context(), "sample")
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	first := describe(o)
	if got := first.BackendSchema[0].Default; got != int64(1)<<53+1 {
		t.Errorf("the default is %v", got)
	}
	if diff := cmp.Diff(first, describe(o)); diff != "" {
		t.Errorf("the kept report differs: %s", diff)
	}
	if n := starts(t, file); n != 1 {
		t.Errorf("started %d times, expected once", n)
	}
	o.CoreVersion = "0.2.0"
	describe(o)
	if n := starts(t, file); n != 2 {
		t.Errorf("another core: started %d times, expected twice", n)
	}
	// A kept schema is no excuse for a changed file.
	if err := os.WriteFile(filepath.Join(dir, "sample"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var changed *DigestError
	if _, err := open(t, o, Dir{root, OriginUser}).Describe(t.Context(), "sample"); !errors.As(err, &changed) {
		t.Errorf("got %v", err)
	}
}

func TestCacheThatCannotBeWrittenIsAWarning(t *testing.T) {
	root, cacheDir := t.TempDir(), filepath.Join(t.TempDir(), "file", "cache")
	writeFile(t, filepath.Dir(cacheDir), "", 0o644)
	writeSample(t, root, nil)
	r := open(t, Options{CacheDir: cacheDir}, Dir{root, OriginUser})
	if _, err := r.Describe(t.Context(), "sample"); err != nil {
		t.Fatal(err)
	}
	if w := r.Warnings(); len(w) != 1 || w[0].Code != "schema_cache" {
		t.Errorf("warnings: %v", w)
	}
}

func BenchmarkDescribeKept(b *testing.B) {
	root, cacheDir := b.TempDir(), b.TempDir()
	o := Options{CacheDir: cacheDir, CoreVersion: "0.1.0"}
	if _, err := Install(b.Context(), sample, root, o); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := Open([]Dir{{root, OriginUser}}, o)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Describe(b.Context(), "sample"); err != nil {
			b.Fatal(err)
		}
	}
}
