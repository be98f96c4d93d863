package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
)

// writePlugin makes root/NAME with files (name to content, all executable)
// and a manifest that fits them, changed by change.
func writePlugin(t *testing.T, root, name string, files map[string]string, change func(*Manifest)) string {
	t.Helper()
	dir := filepath.Join(root, name)
	m := Manifest{
		Name: name, Kinds: []string{"backend"}, Version: "1.0.0", Protocol: Protocol,
		Command: []string{name}, Files: map[string]string{},
	}
	for file, content := range files {
		writeFile(t, filepath.Join(dir, file), content, 0o755)
		sum := sha256.Sum256([]byte(content))
		m.Files[file] = hex.EncodeToString(sum[:])
	}
	if change != nil {
		change(&m)
	}
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, ManifestFile), string(data), 0o644)
	return dir
}

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, o Options, dirs ...Dir) *Registry {
	t.Helper()
	r, err := Open(dirs, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFirstFoundWins(t *testing.T) {
	first, second, third := t.TempDir(), t.TempDir(), t.TempDir()
	writePlugin(t, second, "ggml", map[string]string{"ggml": "two"}, nil)
	writePlugin(t, third, "ggml", map[string]string{"ggml": "three"}, nil)
	writePlugin(t, third, "sim", map[string]string{"sim": "x"}, nil)
	writeFile(t, filepath.Join(first, "ggml", ManifestFile), "name =", 0o644) // broken, and found first
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(second, link); err != nil {
		t.Fatal(err)
	}
	r := open(t, Options{}, Dir{second, OriginFlag}, Dir{link, OriginEnv}, Dir{third, OriginUser})
	entry, err := r.Find("ggml")
	if err != nil {
		t.Fatal(err)
	}
	// The link is the same directory and shadows nothing.
	want := Entry{Manifest: entry.Manifest, Dir: filepath.Join(second, "ggml"), Origin: OriginFlag, Shadows: []string{filepath.Join(third, "ggml")}}
	if diff := cmp.Diff(want, entry); diff != "" {
		t.Error(diff)
	}

	r = open(t, Options{}, Dir{first, OriginFlag}, Dir{third, OriginUser})
	var unusable *UnusableError
	if _, err := r.Find("ggml"); !errors.As(err, &unusable) {
		t.Errorf("a broken plugin that is found first gives %v", err)
	}
	var names []string
	for _, entry := range r.Entries() {
		names = append(names, entry.Name)
	}
	if diff := cmp.Diff([]string{"ggml", "sim"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestProblems(t *testing.T) {
	root := t.TempDir()
	bare := filepath.Join(root, "bare")
	writeFile(t, filepath.Join(bare, "bare"), "binary", 0o755)
	broken := filepath.Join(root, "broken")
	writeFile(t, filepath.Join(broken, ManifestFile), "name = 3\n", 0o644)
	writePlugin(t, root, "old", map[string]string{"old": "x"}, func(m *Manifest) { m.Protocol = 7 })
	renamed := writePlugin(t, root, "renamed", map[string]string{"x": "x"}, func(m *Manifest) { m.Name = "other"; m.Command = []string{"x"} })
	writeFile(t, filepath.Join(root, "sources", "main.go"), "package main", 0o644)      // no plugin
	writeFile(t, filepath.Join(root, "readme.txt"), "", 0o644)                          // no directory
	writePlugin(t, root, ".install-1", map[string]string{"x": "x"}, func(*Manifest) {}) // half installed
	r := open(t, Options{}, Dir{root, OriginUser})
	got := map[string]string{}
	for _, entry := range r.Entries() {
		got[entry.Name] = entry.Problem.Error()
	}
	want := map[string]string{
		"bare": "no plugin.toml in " + bare + "; run `llem plugins install " + bare + "/bare`",
		"broken": broken + "/plugin.toml:1: name: expected a string, found an integer\n" +
			broken + "/plugin.toml: kinds: missing; expected a list\n" +
			broken + "/plugin.toml: version: missing; expected a string\n" +
			broken + "/plugin.toml: protocol: missing; expected an integer\n" +
			broken + "/plugin.toml: command: missing; expected a list\n" +
			broken + "/plugin.toml: files: missing; expected a table; install the plugin again with `llem plugins install PATH`",
		"old":     root + "/old/plugin.toml: protocol: the plugin speaks version 7 of the plugin contract, this llem speaks 1; install a build of old made for it",
		"renamed": renamed + `/plugin.toml: name: the plugin "other" lies in a directory called "renamed"; they must be the same, so rename the directory`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNotFound(t *testing.T) {
	root := t.TempDir()
	writePlugin(t, root, "vllm", map[string]string{"vllm": "x"}, nil)
	writePlugin(t, root, "sim", map[string]string{"sim": "x"}, nil)
	r := open(t, Options{}, Dir{root, OriginFlag}, Dir{"/nowhere/plugins", OriginUser})
	_, err := r.Find("vlm")
	var missing *NotFoundError
	if !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	want := "plugin \"vlm\" is not installed; did you mean \"vllm\"?\n" +
		"  looked in  " + root + " (--plugin-dir)\n" +
		"             /nowhere/plugins (user data directory, not there)\n" +
		"  installed  sim, vllm\n" +
		"  install it with `llem plugins install PATH`"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	if len(r.Warnings()) != 0 {
		t.Errorf("an absent default directory is worth no warning: %v", r.Warnings())
	}
}

func TestDirectoriesThatAreNotThere(t *testing.T) {
	_, err := Open([]Dir{{"/nowhere", OriginFlag}}, Options{})
	if want := "--plugin-dir: open /nowhere: no such file or directory; name a directory that holds plugins"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	plugin := writePlugin(t, t.TempDir(), "sim", map[string]string{"sim": "x"}, nil)
	r := open(t, Options{}, Dir{"/nowhere", OriginConfig}, Dir{plugin, OriginEnv})
	want := []sdk.Warning{
		{Code: "plugin_dir_unreadable", Message: "user config: open /nowhere: no such file or directory; plugins in it are not found"},
		{Code: "plugin_dir_is_plugin", Message: "LLEM_PLUGIN_DIR: " + plugin + " is itself a plugin; name the directory that holds it, " + filepath.Dir(plugin)},
	}
	if diff := cmp.Diff(want, r.Warnings()); diff != "" {
		t.Error(diff)
	}
}

func TestNotFoundWithoutAnyPlugin(t *testing.T) {
	_, err := open(t, Options{}).Find("x")
	if err == nil || !strings.Contains(err.Error(), "installed  none") {
		t.Errorf("got %v", err)
	}
}
