package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const someDigest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

const goodManifest = `name = "ggml"
kinds = ["backend"]
version = "1.2.0"
protocol = 1
command = ["ggml"]

[files]
ggml = "` + someDigest + `"
"lib/kernels.so" = '` + someDigest + `'
`

func TestManifest(t *testing.T) {
	d, err := parseDocument("plugin.toml", []byte(goodManifest))
	if err != nil {
		t.Fatal(err)
	}
	got, err := manifestOf(d, true)
	if err != nil {
		t.Fatal(err)
	}
	want := Manifest{
		Name: "ggml", Kinds: []string{"backend"}, Version: "1.2.0", Protocol: 1, Command: []string{"ggml"},
		Files: map[string]string{"ggml": someDigest, "lib/kernels.so": someDigest},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Each bad manifest is the good one with one line changed, and its exact message.
func TestBadManifests(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{`version = "1.2.0"`, `verison = "1.2.0"`, `plugin.toml:3: verison: unknown key; did you mean "version"?
plugin.toml: version: missing; expected a string`},
		{`protocol = 1`, "protocol = 1\nos = \"linux\"", `plugin.toml:5: os: unknown key; known keys: name, kinds, version, protocol, command, files`},
		{`protocol = 1`, `protocol = "1"`, `plugin.toml:4: protocol: expected an integer, found a string`},
		{`protocol = 1`, `protocol = 0`, `plugin.toml:4: protocol: expected the major version of the contract, such as 1`},
		{`kinds = ["backend"]`, `kinds = "backend"`, `plugin.toml:2: kinds: expected a list, found a string`},
		{`kinds = ["backend"]`, `kinds = []`, `plugin.toml:2: kinds: no kind; expected some of backend, energy source`},
		{`kinds = ["backend"]`, `kinds = ["backends"]`, `plugin.toml:2: kinds: unknown kind "backends"; did you mean "backend"?`},
		{`kinds = ["backend"]`, `kinds = ["backend", "backend"]`, `plugin.toml:2: kinds: "backend" is there twice`},
		{`kinds = ["backend"]`, `kinds = ["backend", 7]`, `plugin.toml:2: kinds: element 2: expected a string, found an integer`},
		{`"1.2.0"`, `"v1.2.0"`, `plugin.toml:3: version: "v1.2.0" is no semantic version such as 1.2.0`},
		{`"ggml"`, `"GGML"`, `plugin.toml:1: name: "GGML" cannot name a plugin; expected lower-case letters, digits and hyphens, at most 64`},
		{`"ggml"`, `"../ggml"`, `plugin.toml:1: name: "../ggml" cannot name a plugin; expected lower-case letters, digits and hyphens, at most 64`},
		{`"ggml"`, `"auto"`, `plugin.toml:1: name: "auto" cannot name a plugin; the name means something else in a study's energy list`},
		{`["ggml"]`, `[]`, `plugin.toml:5: command: empty; expected the program and its arguments`},
		{`["ggml"]`, `["../ggml"]`, `plugin.toml:5: command: "../ggml": "../ggml" leads out of the plugin's directory`},
		{`["ggml"]`, `["/bin/sh"]`, `plugin.toml:5: command: "/bin/sh": "/bin/sh" leads out of the plugin's directory`},
		{`["ggml"]`, `["lib/other"]`, `plugin.toml:5: command: "lib/other" is not among the files`},
		{`["ggml"]`, `["python3", "../../evil.py"]`, `plugin.toml:5: command: argument "../../evil.py" leads out of the plugin's directory`},
		{`["ggml"]`, `["python3", "/tmp/evil.py"]`, `plugin.toml:5: command: argument "/tmp/evil.py" leads out of the plugin's directory`},
		{`"lib/kernels.so"`, `"../kernels.so"`, `plugin.toml:9: files.../kernels.so: "../kernels.so" leads out of the plugin's directory`},
		{`"lib/kernels.so"`, `"/lib/kernels.so"`, `plugin.toml:9: files./lib/kernels.so: "/lib/kernels.so" leads out of the plugin's directory`},
		{`"lib/kernels.so"`, `"lib//kernels.so"`, `plugin.toml:9: files.lib//kernels.so: "lib//kernels.so" is not written plainly; expected "lib/kernels.so"`},
		{`"lib/kernels.so"`, `"plugin.toml"`, `plugin.toml:9: files.plugin.toml: the manifest cannot hold its own digest; remove the line`},
		{"'" + someDigest, "'" + someDigest[1:], `plugin.toml:9: files.lib/kernels.so: expected the sha256 of the file, 64 lower-case hex digits, found "` + someDigest[1:] + `"`},
		{"'" + someDigest + "'", `1`, `plugin.toml:9: files.lib/kernels.so: expected a string, found an integer`},
		{`kinds = ["backend"]`, `kinds = ["backend"`, `plugin.toml:3: expected a comma (',') or array terminator (']'), but got 'v'`},
		{`kinds = ["backend"]`, `name = "again"`, `plugin.toml:2: Key 'name' has already been defined.`},
		{`name = "ggml"`, "name = \"gg\xffml\"", `plugin.toml:1: invalid UTF-8 byte: 0xff`},
	} {
		t.Run(test.new, func(t *testing.T) {
			text := strings.Replace(goodManifest, test.old, test.new, 1)
			if text == goodManifest {
				t.Fatalf("%q is not in the manifest", test.old)
			}
			d, err := parseDocument("plugin.toml", []byte(text))
			if err == nil {
				_, err = manifestOf(d, true)
			}
			if err == nil {
				t.Fatalf("no error, expected %s", test.want)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestManifestFileFaults(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.toml")
	if err := os.WriteFile(large, make([]byte, 10<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	windows := filepath.Join(dir, "windows.toml")
	if err := os.WriteFile(windows, []byte("\xef\xbb\xbf"+strings.ReplaceAll(goodManifest, "\n", "\r\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		dir:     dir + ": not a regular file",
		large:   large + ": larger than 1 MiB",
		windows: "<nil>", // a byte order mark and CRLF are no fault
	} {
		if _, err := ReadManifest(file); fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// An author's manifest may leave out what installing finds out.
func TestAuthorsManifest(t *testing.T) {
	d, err := parseDocument("plugin.toml", []byte("name = \"mine\"\ncommand = [\"python3\", \"plugin.py\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifestOf(d, false); err != nil {
		t.Error(err)
	}
	if _, err := manifestOf(d, true); err == nil {
		t.Error("an installed manifest without files passed")
	}
}

func drawManifest(t *rapid.T) Manifest {
	m := Manifest{
		Name:     rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,20}x`).Draw(t, "name"),
		Kinds:    rapid.SampledFrom([][]string{{"backend"}, {"energy source"}, {"backend", "energy source"}}).Draw(t, "kinds"),
		Version:  rapid.StringMatching(`(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)(-rc\.[1-9])?`).Draw(t, "version"),
		Protocol: rapid.IntRange(1, 99).Draw(t, "protocol"),
		Command:  append([]string{"python3"}, rapid.SliceOf(rapid.StringMatching(`[^/.\x00-\x1f]{0,9}`)).Draw(t, "arguments")...),
		Files:    map[string]string{},
	}
	for i, name := range rapid.SliceOfN(rapid.StringMatching(`[^/\\.\x00][^/\\\x00]{0,5}`), 1, 5).Draw(t, "files") {
		sum := sha256.Sum256([]byte{byte(i)})
		m.Files[name] = hex.EncodeToString(sum[:])
	}
	return m
}

// What Install writes is read back as it was, with the same digest.
func TestManifestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawManifest(t)
		data, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		d, err := parseDocument("plugin.toml", data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		back, err := manifestOf(d, true)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Fatal(diff)
		}
		if m.Digest() != back.Digest() {
			t.Fatal("the digest changed")
		}
	})
}

func TestDigestSeesEverything(t *testing.T) {
	base := Manifest{Name: "a", Kinds: []string{"backend"}, Version: "1.0.0", Protocol: 1, Command: []string{"a"}, Files: map[string]string{"a": someDigest}}
	// Pinned: lock files and results hold such digests for years.
	const want = "sha256:1e3034942ba119a0fb52f53e0e58ccd89782dfbd8639811fa2a0e404c8702c34"
	if got := base.Digest(); got != want {
		t.Errorf("digest is %s, was %s", got, want)
	}
	for what, change := range map[string]func(*Manifest){
		"name":     func(m *Manifest) { m.Name = "b" },
		"kinds":    func(m *Manifest) { m.Kinds = []string{"energy source"} },
		"version":  func(m *Manifest) { m.Version = "1.0.1" },
		"protocol": func(m *Manifest) { m.Protocol = 2 },
		"command":  func(m *Manifest) { m.Command = []string{"a", "-v"} },
		"files":    func(m *Manifest) { m.Files = map[string]string{"a": strings.Repeat("0", 64)} },
	} {
		changed := base
		change(&changed)
		if changed.Digest() == base.Digest() {
			t.Errorf("the digest does not cover %s", what)
		}
	}
}

// Whatever the bytes, reading ends, and a manifest that passes can be written
// and read again and leads nowhere but into its directory.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(goodManifest))
	f.Add([]byte("name = \"x\"\ncommand = [\"python3\", \"p.py\"]\nfiles = {}\n"))
	f.Add([]byte("[[files]]\nname = 1979-05-27\n[a.\"b.c\".'d']\n\"\" = 1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDocument("plugin.toml", data)
		if err != nil {
			return
		}
		m, err := manifestOf(d, true)
		if err != nil {
			return
		}
		for name := range m.Files {
			if !filepath.IsLocal(name) {
				t.Errorf("%q passed", name)
			}
		}
		encoded, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseDocument("plugin.toml", encoded)
		if err != nil {
			t.Fatalf("%v\n%s", err, encoded)
		}
		back, err := manifestOf(again, true)
		if err != nil || back.Digest() != m.Digest() {
			t.Fatalf("%v\n%s", err, encoded)
		}
	})
}
