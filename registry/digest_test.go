package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestVerify(t *testing.T) {
	root := t.TempDir()
	dir := writePlugin(t, root, "sim", map[string]string{"sim": "one", "lib/data": "two"}, nil)
	r := open(t, Options{CacheDir: t.TempDir()}, Dir{root, OriginUser})
	if err := r.Verify("sim"); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "lib/data")
	writeFile(t, data, "TWO", 0o755)
	err := r.Verify("sim")
	var changed *DigestError
	if !errors.As(err, &changed) {
		t.Fatalf("got %v", err)
	}
	want := "plugin sim: " + data + " has changed since it was installed (sha256 a1a8a8cbbed4…, the manifest says 3fc4ccfe7458…); if you changed it, run `llem plugins install PATH` again"
	if err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestVerifyRefusesFiles(t *testing.T) {
	for _, test := range []struct {
		name  string
		put   func(path string) error
		words string
	}{
		{"absent", os.Remove, "no such file or directory; install the plugin again with `llem plugins install PATH`"},
		{"link out", func(path string) error {
			outside := filepath.Join(filepath.Dir(filepath.Dir(path)), "outside")
			return errors.Join(os.Rename(path, outside), os.Symlink(outside, path))
		}, "path escapes from parent"},
		{"directory", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, "not a regular file"},
		{"pipe", func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o644)) }, "not a regular file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			dir := writePlugin(t, root, "sim", map[string]string{"sim": "one"}, nil)
			if err := test.put(filepath.Join(dir, "sim")); err != nil {
				t.Fatal(err)
			}
			err := open(t, Options{}, Dir{root, OriginUser}).Verify("sim")
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The cache answers for files that have not changed, and only for those: a
// false entry shows which of both was asked.
func TestDigestCache(t *testing.T) {
	root, cacheDir := t.TempDir(), t.TempDir()
	dir := writePlugin(t, root, "sim", map[string]string{"sim": "one"}, nil)
	entry, _ := read(dir)
	files, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()

	cache := openDigestCache(cacheDir, dir)
	if err := entry.verify(t.Context(), cache); err != nil {
		t.Fatal(err)
	}
	if len(cache.known) != 0 {
		t.Error("a file written a moment ago was believed to be settled")
	}
	cache.now = func() time.Time { return time.Now().Add(time.Minute) }
	if err := errors.Join(entry.verify(t.Context(), cache), cache.save()); err != nil {
		t.Fatal(err)
	}

	cache = openDigestCache(cacheDir, dir)
	known := cache.known["sim"]
	if known.SHA256 != entry.Files["sim"] {
		t.Fatalf("kept %v", cache.known)
	}
	cache.known["sim"] = knownDigest{Stamp: known.Stamp, SHA256: someDigest}
	if got, err := cache.digest(files, "sim"); err != nil || got != someDigest {
		t.Errorf("an unchanged file was read again: %s, %v", got, err)
	}
	if err := entry.verify(t.Context(), nil); err != nil {
		t.Errorf("without a cache the file itself counts: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, "sim"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := cache.digest(files, "sim"); err != nil || got != entry.Files["sim"] {
		t.Errorf("a changed file was not read again: %s, %v", got, err)
	}
}

func TestDamagedDigestCacheIsMadeAnew(t *testing.T) {
	root, cacheDir := t.TempDir(), t.TempDir()
	dir := writePlugin(t, root, "sim", map[string]string{"sim": "one"}, nil)
	for _, damaged := range []string{"", "null", "{", `{"sim": {"Stamp": 3}}`} {
		writeFile(t, openDigestCache(cacheDir, dir).file, damaged, 0o600)
		if err := open(t, Options{CacheDir: cacheDir}, Dir{root, OriginUser}).Verify("sim"); err != nil {
			t.Errorf("%q: %v", damaged, err)
		}
	}
}

func TestLockForReadsTheFiles(t *testing.T) {
	root := t.TempDir()
	dir := writePlugin(t, root, "sim", map[string]string{"sim": "one"}, nil)
	r := open(t, Options{}, Dir{root, OriginUser})
	lock, err := r.LockFor([]string{"sim"})
	if err != nil {
		t.Fatal(err)
	}
	entry, _ := r.Find("sim")
	if err := lock.Check(entry); err != nil {
		t.Error(err)
	}
	writeFile(t, filepath.Join(dir, "sim"), "two", 0o755)
	if _, err := r.LockFor([]string{"sim"}); err == nil {
		t.Error("a changed plugin was locked")
	}
	if _, err := r.LockFor([]string{"none"}); err == nil {
		t.Error("an absent plugin was locked")
	}
}
