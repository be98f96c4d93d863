package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const lockedDigest = "sha256:" + someDigest

const goodLock = `schema_version = 1

[plugins.ggml]
version = "1.2.0"
protocol = 1
digest = "` + lockedDigest + `"

[plugins.rapl]
version = "0.1.0"
protocol = 1
digest = "` + lockedDigest + `"
`

func TestLockRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), LockFile)
	lock := &Lock{Plugins: map[string]LockedPlugin{
		"ggml": {Version: "1.2.0", Protocol: 1, Digest: lockedDigest},
		"rapl": {Version: "0.1.0", Protocol: 1, Digest: lockedDigest},
	}}
	if err := WriteLock(path, lock); err != nil {
		t.Fatal(err)
	}
	got, err := ReadLock(path)
	if err != nil {
		t.Fatal(err)
	}
	lock.Path = path
	if diff := cmp.Diff(lock, got); diff != "" {
		t.Error(diff)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(data), "\n")
	if diff := cmp.Diff(goodLock, body); diff != "" {
		t.Errorf("the file's layout: %s", diff)
	}
}

func TestBadLocks(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{"schema_version = 1", "schema_version = 2", "llem.lock:1: schema_version: this llem reads version 1, found 2; write the lock again with `llem plugins lock STUDY.toml`"},
		{"schema_version = 1", "", "llem.lock: schema_version: missing; expected an integer"},
		{"[plugins.ggml]", "[plugin.ggml]", `llem.lock:3: plugin: unknown key; did you mean "plugins"?`},
		{"[plugins.ggml]", `[plugins."../x"]`, `llem.lock:3: plugins.../x: "../x" cannot name a plugin; expected lower-case letters, digits and hyphens, at most 64`},
		{`version = "1.2.0"`, `version = 1.2`, `llem.lock:4: plugins.ggml.version: expected a string, found a float`},
		{`version = "1.2.0"`, `version = ""`, `llem.lock:4: plugins.ggml.version: "" is no semantic version`},
		{`version = "1.2.0"`, ``, `llem.lock:3: plugins.ggml.version: missing; expected a string`},
		{`protocol = 1`, "protocol = 1\nhash = 3", `llem.lock:6: plugins.ggml.hash: unknown key; known keys: version, protocol, digest`},
		{`"sha256:`, `"md5:`, `llem.lock:6: plugins.ggml.digest: expected sha256: and 64 hex digits, found "md5:` + someDigest + `"`},
		{`[plugins.ggml]`, `<<<<<<< ours`, `llem.lock:3: expected '.' or '=', but got '<' instead`},
	} {
		t.Run(test.new, func(t *testing.T) {
			d, err := parseDocument("llem.lock", []byte(strings.Replace(goodLock, test.old, test.new, 1)))
			if err == nil {
				_, err = lockOf(d)
			}
			if err == nil {
				t.Fatalf("no error, expected %s", test.want)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := ReadLock(filepath.Join(t.TempDir(), LockFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent lock gives %v", err)
	}
}

func TestLockCheck(t *testing.T) {
	entry := Entry{Manifest: Manifest{Name: "a", Version: "1.1.0", Protocol: 1, Files: map[string]string{"a": someDigest}}, Dir: "/p/a"}
	lock := &Lock{Path: "study/llem.lock", Plugins: map[string]LockedPlugin{"a": entry.locked()}}
	if err := lock.Check(entry); err != nil {
		t.Error(err)
	}
	if err := lock.Check(Entry{Manifest: Manifest{Name: "new"}}); err != nil {
		t.Errorf("a plugin new to the study: %v", err)
	}
	if diff := cmp.Diff([]string{"b"}, lock.Missing([]string{"a", "b"})); diff != "" {
		t.Error(diff)
	}
	lock.Plugins["a"] = LockedPlugin{Version: "1.0.0", Protocol: 1, Digest: lockedDigest}
	err := lock.Check(entry)
	if !errors.Is(err, ErrLockChanged) {
		t.Fatalf("got %v", err)
	}
	want := "plugin a in /p/a is not the one that study/llem.lock holds: version 1.1.0 with digest " + entry.Digest()[:19] +
		"…, locked is version 1.0.0 with digest sha256:9f86d081884c…; if the change is meant, run `llem plugins lock STUDY.toml`, or else install the locked version again"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestLockExtendKeepsWhatIsLocked(t *testing.T) {
	old := LockedPlugin{Version: "1.0.0", Protocol: 1, Digest: lockedDigest}
	other := LockedPlugin{Version: "2.0.0", Protocol: 1, Digest: lockedDigest}
	lock := &Lock{Path: "l", Plugins: map[string]LockedPlugin{"a": old}}
	got := lock.Extend(&Lock{Plugins: map[string]LockedPlugin{"a": other, "b": other}})
	if diff := cmp.Diff(&Lock{Path: "l", Plugins: map[string]LockedPlugin{"a": old, "b": other}}, got); diff != "" {
		t.Error(diff)
	}
	if len(lock.Plugins) != 1 {
		t.Error("Extend changed the lock itself")
	}
}

func TestARenewedLockServesOtherStudies(t *testing.T) {
	was := LockedPlugin{Version: "1.0.0", Protocol: 1, Digest: lockedDigest}
	is := LockedPlugin{Version: "2.0.0", Protocol: 1, Digest: lockedDigest}
	lock := &Lock{Path: "l", Plugins: map[string]LockedPlugin{"mine": was, "other": was, "gone": was}}
	got, removed := lock.Renewed(&Lock{Plugins: map[string]LockedPlugin{"mine": is}}, func(name string) bool { return name != "gone" })
	if diff := cmp.Diff(&Lock{Path: "l", Plugins: map[string]LockedPlugin{"mine": is, "other": was}}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"gone"}, removed); diff != "" {
		t.Error(diff)
	}
}

func FuzzLock(f *testing.F) {
	f.Add([]byte(goodLock))
	f.Add([]byte("schema_version = 1\nplugins = {a = 1}"))
	f.Add([]byte("schema_version = 1\nplugins.a-b.version = '1'\nplugins.a-b.protocol = 0\nplugins.a-b.digest = ''"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDocument("llem.lock", data)
		if err != nil {
			return
		}
		lock, err := lockOf(d)
		if err != nil {
			return
		}
		encoded := lock.Text()
		again, err := parseDocument("llem.lock", encoded)
		if err != nil {
			t.Fatalf("%v\n%s", err, encoded)
		}
		back, err := lockOf(again)
		if err != nil {
			t.Fatalf("%v\n%s", err, encoded)
		}
		if diff := cmp.Diff(lock, back); diff != "" {
			t.Fatal(diff)
		}
	})
}
