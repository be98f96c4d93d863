package registry

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk/host"
)

// leftovers lists what lies in dir, hidden files included.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	children, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, child := range children {
		names = append(names, child.Name())
	}
	return names
}

func TestInstallBinary(t *testing.T) {
	root, cacheDir := filepath.Join(t.TempDir(), "data", "plugins"), t.TempDir()
	o := Options{CacheDir: cacheDir, CoreVersion: "0.1.0"}
	entry, err := Install(t.Context(), sample, root, o)
	if err != nil {
		t.Fatal(err)
	}
	if entry.Name != "sample" || entry.Version != "1.0.0" || entry.Dir != filepath.Join(root, "sample") {
		t.Errorf("installed %+v", entry)
	}
	found, err := open(t, o, Dir{root, OriginUser}).Find("sample")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entry.Manifest, found.Manifest); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sample"}, leftovers(t, root)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{ManifestFile, "sample"}, leftovers(t, entry.Dir)); diff != "" {
		t.Error(diff)
	}
	if kept := leftovers(t, filepath.Join(cacheDir, "schemas")); len(kept) != 1 {
		t.Errorf("the schema was not kept: %v", kept)
	}
}

// sourceDir makes a directory as an author has it.
func sourceDir(t *testing.T, manifest string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "source")
	binary, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "bin", "engine"), string(binary), 0o755)
	writeFile(t, filepath.Join(dir, "data.txt"), "data", 0o600)
	writeFile(t, filepath.Join(dir, ".git", "config"), "", 0o644)
	writeFile(t, filepath.Join(dir, "__pycache__", "x.pyc"), "", 0o644)
	writeFile(t, filepath.Join(dir, ManifestFile), manifest, 0o644)
	return dir
}

func TestInstallDirectoryOverAnother(t *testing.T) {
	root := t.TempDir()
	src := sourceDir(t, "name = \"sample\"\ncommand = [\"bin/engine\"]\n")
	first, err := Install(t.Context(), src, root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for name := range first.Files {
		files = append(files, name)
	}
	if len(files) != 2 || first.Files["data.txt"] == "" || first.Files["bin/engine"] == "" {
		t.Errorf("installed the files %v", files)
	}
	running, _, err := open(t, Options{}, Dir{root, OriginUser}).Start(t.Context(), "sample", host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Kill()

	// Naming the manifest means its directory; "files" leaves data.txt out.
	binaryDigest := first.Files["bin/engine"]
	src = sourceDir(t, "name = \"sample\"\nversion = \"1.1.0\"\ncommand = [\"bin/engine\", \"-version=1.1.0\"]\nfiles = {\"bin/engine\" = \""+binaryDigest+"\"}\n")
	second, err := Install(t.Context(), filepath.Join(src, ManifestFile), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if second.Version != "1.1.0" || first.Digest() == second.Digest() {
		t.Errorf("installed %+v", second)
	}
	if diff := cmp.Diff([]string{"bin", ManifestFile}, leftovers(t, second.Dir)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sample"}, leftovers(t, root)); diff != "" {
		t.Error(diff)
	}
	select {
	case <-running.Exited():
		t.Error("replacing a plugin ended a process of the old one")
	default:
	}
}

func TestInstallScript(t *testing.T) {
	src := filepath.Join(t.TempDir(), "script")
	// The script hands over to the built plugin, as a Python one would serve
	// by itself; what counts is that an interpreter from PATH starts it.
	writeFile(t, filepath.Join(src, "plugin.sh"), "exec "+sample+" -name=scripted\n", 0o644)
	writeFile(t, filepath.Join(src, ManifestFile), "name = \"scripted\"\ncommand = [\"sh\", \"plugin.sh\"]\n", 0o644)
	root := t.TempDir()
	entry, err := Install(t.Context(), src, root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := open(t, Options{}, Dir{root, OriginUser}).Start(t.Context(), entry.Name, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
}

func TestInstallRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "notes.txt")
	writeFile(t, text, "hello", 0o644)
	shell := filepath.Join(t.TempDir(), "hello")
	writeFile(t, shell, "#!/bin/sh\necho hello\n", 0o755)
	garbage := filepath.Join(t.TempDir(), "garbage")
	writeFile(t, garbage, "\x7fELF and nothing else", 0o755)
	empty := t.TempDir()
	built := filepath.Join(t.TempDir(), "mine")
	writeFile(t, filepath.Join(built, "mine"), "x", 0o755)
	linked := sourceDir(t, "name = \"sample\"\ncommand = [\"bin/engine\"]\n")
	if err := errors.Join(os.Remove(filepath.Join(linked, "data.txt")), os.Symlink("/etc/passwd", filepath.Join(linked, "data.txt"))); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"absent", "/nowhere/x", "install /nowhere/x: stat /nowhere/x: no such file or directory; name a plugin's executable, or a directory with a plugin.toml"},
		{"text", text, "install " + text + ": not an executable file; run `chmod +x " + text + "` if it is a program, or write a plugin.toml beside it for a script and install the directory"},
		{"no plugin", shell, "install " + shell + ": it does not answer as an llem plugin: "},
		{"garbage", garbage, "install " + garbage + ": it does not answer as an llem plugin: "},
		{"empty directory", empty, "install " + empty + ": no plugin.toml in it; write one with at least name and command, or name the plugin's executable"},
		{"built, no manifest", built, "install " + built + ": no plugin.toml in it; install the executable: `llem plugins install " + built + "/mine`"},
		{"manifest only", filepath.Dir(writeManifestOnly(t)), "no file in it beside plugin.toml"},
		{"link out", linked, "path escapes from parent"},
		{"wrong name", sourceDir(t, "name = \"other\"\ncommand = [\"bin/engine\"]\n"), `plugin.toml: name: the manifest says "other", the plugin itself "sample"; correct the line, or leave version and kinds out`},
		{"wrong version", sourceDir(t, "name = \"sample\"\nversion = \"3.0.0\"\ncommand = [\"bin/engine\"]\n"), "version: the manifest says 3.0.0, the plugin itself 1.0.0; correct the line"},
		{"wrong protocol", sourceDir(t, "name = \"sample\"\nprotocol = 2\ncommand = [\"bin/engine\"]\n"), "its manifest says protocol 2, this llem speaks 1; correct the line or leave it out"},
		{"bad own name", sourceDir(t, "name = \"sample\"\ncommand = [\"bin/engine\", \"-name=No Name\"]\n"), "it describes itself by a name that cannot be used"},
		{"bad own version", sourceDir(t, "name = \"sample\"\ncommand = [\"bin/engine\", \"-version=new\"]\n"), `it describes itself by version "new"; expected a semantic version such as 1.2.0`},
		{"newer core", sourceDir(t, "name = \"sample\"\ncommand = [\"bin/engine\", \"-least-core=9.0.0\"]\n"), "plugin sample needs llem 9.0.0 or newer, this is llem 0.1.0"},
		{"wrong digest", sourceDir(t, "name = \"sample\"\ncommand = [\"bin/engine\"]\nfiles = {\"bin/engine\" = \""+someDigest+"\"}\n"), "bin/engine has changed since it was installed"},
		{"unknown key", sourceDir(t, "nam = \"sample\"\ncommand = [\"bin/engine\"]\n"), `plugin.toml:1: nam: unknown key; did you mean "name"?`},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			_, err := Install(t.Context(), test.path, root, Options{CoreVersion: "0.1.0"})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("\n got %v\nwant %s", err, test.want)
			}
			if left := leftovers(t, root); left != nil {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func writeManifestOnly(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "only", ManifestFile)
	writeFile(t, file, "name = \"only\"\ncommand = [\"sh\"]\n", 0o644)
	return file
}

// The directory with the source code may have the plugin's name; it stays.
func TestInstallReplacesNothingOfTheUsers(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "sample", "main.go"), "package main", 0o644)
	_, err := Install(t.Context(), sample, root, Options{})
	want := "install " + sample + ": " + root + "/sample is there and was not written by `llem plugins install` (it holds main.go); move it away, or install into another directory"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"main.go"}, leftovers(t, filepath.Join(root, "sample"))); diff != "" {
		t.Error(diff)
	}

	root = t.TempDir()
	writeFile(t, filepath.Join(root, "sample"), "a file", 0o644)
	_, err = Install(t.Context(), sample, root, Options{})
	want = "install " + sample + ": " + root + "/sample is there and is no directory; move it away, or install into another directory"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// A binary that somebody copied to NAME/NAME becomes installed in place.
func TestInstallInPlace(t *testing.T) {
	root := t.TempDir()
	binary, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(root, "sample", "sample")
	writeFile(t, own, string(binary), 0o755)
	if _, err := Install(t.Context(), own, root, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := open(t, Options{}, Dir{root, OriginUser}).Verify("sample"); err != nil {
		t.Error(err)
	}
}

func TestInstallIntoWhatCannotBeWritten(t *testing.T) {
	// A file where a directory should be stops root, too.
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "", 0o644)
	root := filepath.Join(file, "plugins")
	_, err := Install(t.Context(), sample, root, Options{})
	want := "install " + sample + ": mkdir " + file + ": not a directory; make the directory writable, or install into another one"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	_, err = Install(t.Context(), sample, "", Options{})
	want = "install " + sample + ": no directory to install into: neither XDG_DATA_HOME nor HOME holds an absolute path; set one, or name a directory"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestInstallIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root := t.TempDir()
	if _, err := Install(ctx, sample, root, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := leftovers(t, root); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// Readers find a whole plugin at every moment while it is replaced, and
// installers do not disturb each other.
func TestInstallWhileOthersReadAndInstall(t *testing.T) {
	root := t.TempDir()
	if _, err := Install(t.Context(), sample, root, Options{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var installers, readers sync.WaitGroup
	for range 2 {
		installers.Go(func() {
			for range 3 {
				if _, err := Install(t.Context(), sample, root, Options{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := ReadManifest(filepath.Join(root, "sample", ManifestFile)); err != nil {
				t.Errorf("in between: %v", err)
				return
			}
		}
	})
	installers.Wait()
	close(done)
	readers.Wait()
	if diff := cmp.Diff([]string{"sample"}, leftovers(t, root)); diff != "" {
		t.Error(diff)
	}
}

func TestAbandonedStagesAreRemoved(t *testing.T) {
	root := t.TempDir()
	abandoned, fresh := filepath.Join(root, ".install-1"), filepath.Join(root, ".install-0")
	writeFile(t, filepath.Join(abandoned, "x"), "", 0o644)
	writeFile(t, filepath.Join(fresh, "x"), "", 0o644)
	long := time.Now().Add(-2 * abandonedAfter)
	if err := os.Chtimes(abandoned, long, long); err != nil {
		t.Fatal(err)
	}
	stage, err := newStage(root)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".install-0", filepath.Base(stage)}, leftovers(t, root)); diff != "" {
		t.Error(diff)
	}
}

// Where the file system can exchange no directories.
func TestReplaceInTwoSteps(t *testing.T) {
	root := t.TempDir()
	stage, dest := filepath.Join(root, ".install-1"), filepath.Join(root, "sim")
	writeFile(t, filepath.Join(stage, "new"), "", 0o644)
	writeFile(t, filepath.Join(dest, "old"), "", 0o644)
	if err := replaceInTwoSteps(stage, dest); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"new"}, leftovers(t, dest)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"old"}, leftovers(t, stage)); diff != "" {
		t.Error(diff)
	}
	if err := replaceInTwoSteps(filepath.Join(root, "absent"), dest); err == nil {
		t.Error("an absent stage was published")
	}
	if diff := cmp.Diff([]string{"new"}, leftovers(t, dest)); diff != "" {
		t.Errorf("the old plugin was not put back: %s", diff)
	}
}
