package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"golang.org/x/mod/semver"

	"github.com/llenergymeasure/llem/sdk"
)

// ManifestFile is the name of the manifest in a plugin's directory.
const ManifestFile = "plugin.toml"

// Protocol is the major version of the plugin contract that this llem speaks.
const Protocol = 1

// Manifest says what a plugin's directory holds. Everything in it can be
// checked without starting the plugin, except that it is true.
type Manifest struct {
	// Name as studies write it, and the name of the directory.
	Name string `toml:"name"`
	// Kinds of services: "backend", "energy source".
	Kinds []string `toml:"kinds"`
	// Version of the plugin, semver without a leading v.
	Version string `toml:"version"`
	// Protocol is the major version of the contract that it speaks.
	Protocol int `toml:"protocol"`
	// Command starts it, with the plugin's directory as working directory.
	// Its first word is one of Files, or an interpreter found in PATH.
	Command []string `toml:"command"`
	// Files are the plugin's files: path relative to the directory, with
	// slashes, to sha256 in lower-case hex.
	Files map[string]string `toml:"files"`
}

// ReadManifest reads and checks a plugin.toml. The error holds every finding,
// a line each, with file and line.
func ReadManifest(file string) (Manifest, error) {
	d, err := readDocument(file)
	if err != nil {
		return Manifest{}, err
	}
	return manifestOf(d, true)
}

// manifestOf checks a manifest. In an installed one everything is required;
// in one that an author writes, what the plugin itself can tell (version,
// kinds, protocol) and what installing finds out (files and their digests)
// may be left out.
func manifestOf(d *document, installed bool) (Manifest, error) {
	d.only("", d.tree, "name", "kinds", "version", "protocol", "command", "files")
	m := Manifest{
		Name:     get[string](d, "", d.tree, "name", true),
		Kinds:    d.texts("kinds", installed),
		Version:  get[string](d, "", d.tree, "version", installed),
		Protocol: int(get[int64](d, "", d.tree, "protocol", installed)),
		Command:  d.texts("command", true),
	}
	files := get[map[string]any](d, "", d.tree, "files", installed)
	for _, name := range sortedKeys(files) {
		digest := get[string](d, "files.", files, name, true)
		if err := checkFile(name); err != nil {
			d.refuse("files."+name, "%v", err)
		}
		if _, text := files[name].(string); text && !digestPattern.MatchString(digest) {
			d.refuse("files."+name, "expected the sha256 of the file, 64 lower-case hex digits, found %q", digest)
		}
		if m.Files == nil {
			m.Files = map[string]string{}
		}
		m.Files[name] = digest
	}
	if err := d.err(); err != nil {
		return Manifest{}, err
	}
	m.check(d, installed)
	if err := d.err(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

var (
	namePattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// reserved names mean something else where a study names an energy source.
var reserved = []string{"auto", "nvml"}

// check judges values of the right types.
func (m Manifest) check(d *document, installed bool) {
	if err := checkName(m.Name); err != nil {
		d.refuse("name", "%v", err)
	}
	if _, given := d.tree["kinds"]; given {
		m.checkKinds(d)
	}
	if _, given := d.tree["version"]; given && !validVersion(m.Version) {
		d.refuse("version", "%q is no semantic version such as 1.2.0", m.Version)
	}
	if _, given := d.tree["protocol"]; given && (m.Protocol < 1 || m.Protocol > 1<<20) {
		d.refuse("protocol", "expected the major version of the contract, such as %d", Protocol)
	}
	if installed && len(m.Files) == 0 {
		d.refuse("files", "no file; a plugin has at least one")
	}
	if _, own := m.Files[ManifestFile]; own {
		d.refuse("files."+ManifestFile, "the manifest cannot hold its own digest; remove the line")
	}
	m.checkCommand(d)
}

func (m Manifest) checkKinds(d *document) {
	known := []string{string(sdk.KindBackend), string(sdk.KindEnergySource)}
	if len(m.Kinds) == 0 {
		d.refuse("kinds", "no kind; expected some of %s", strings.Join(known, ", "))
	}
	for i, kind := range m.Kinds {
		switch {
		case slices.Contains(m.Kinds[:i], kind):
			d.refuse("kinds", "%q is there twice", kind)
		case slices.Contains(known, kind):
		default:
			if near := sdk.Nearest(kind, known); near != "" {
				d.refuse("kinds", "unknown kind %q; did you mean %q?", kind, near)
			} else {
				d.refuse("kinds", "unknown kind %q; known kinds: %s", kind, strings.Join(known, ", "))
			}
		}
	}
}

// checkCommand keeps what is executed inside the plugin's directory: a digest
// that covers the directory says nothing about a program elsewhere. Only an
// interpreter may come from PATH.
func (m Manifest) checkCommand(d *document) {
	if len(m.Command) == 0 || m.Command[0] == "" {
		d.refuse("command", "empty; expected the program and its arguments")
		return
	}
	program := m.Command[0]
	_, listed := m.Files[program]
	switch {
	case strings.Contains(program, "/") && checkFile(program) != nil:
		d.refuse("command", "%q: %v", program, checkFile(program))
	case strings.Contains(program, "/") && !listed && len(m.Files) > 0:
		d.refuse("command", "%q is not among the files", program)
	}
	for _, argument := range m.Command[1:] {
		switch {
		case strings.ContainsRune(argument, 0):
			d.refuse("command", "an argument holds a zero byte")
		case path.IsAbs(argument) || slices.Contains(strings.Split(argument, "/"), ".."):
			d.refuse("command", "argument %q leads out of the plugin's directory", argument)
		}
	}
}

// checkName tells whether name can name a plugin.
func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%q cannot name a plugin; expected lower-case letters, digits and hyphens, at most 64", name)
	}
	if slices.Contains(reserved, name) {
		return fmt.Errorf("%q cannot name a plugin; the name means something else in a study's energy list", name)
	}
	return nil
}

// checkFile tells whether name is a clean path inside a plugin's directory.
func checkFile(name string) error {
	switch {
	case name == "" || name == "." || strings.ContainsRune(name, 0):
		return fmt.Errorf("%q names no file", name)
	case !filepath.IsLocal(name) || strings.Contains(name, `\`):
		return fmt.Errorf("%q leads out of the plugin's directory", name)
	case path.Clean(name) != name:
		return fmt.Errorf("%q is not written plainly; expected %q", name, path.Clean(name))
	}
	return nil
}

func validVersion(version string) bool { return semver.IsValid("v" + version) }

// Digest identifies the plugin: "sha256:" and the hash over the manifest's
// values, and with them over every file's digest. Layout and comments of the
// manifest do not enter.
func (m Manifest) Digest() string {
	// JSON writes maps with sorted keys and has one form for each value here.
	// The struct has its own names, so that renaming a Go field changes no digest.
	canonical, err := json.Marshal(struct {
		Name     string            `json:"name"`
		Kinds    []string          `json:"kinds"`
		Version  string            `json:"version"`
		Protocol int               `json:"protocol"`
		Command  []string          `json:"command"`
		Files    map[string]string `json:"files"`
	}{m.Name, m.Kinds, m.Version, m.Protocol, m.Command, m.Files})
	if err != nil {
		panic(err) // strings and integers only
	}
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// installedMark starts the manifests that Install writes. A directory with it
// may be replaced by a newer installation; others are somebody's own.
const installedMark = "# Written by `llem plugins install`"

// encode writes the manifest as TOML.
func (m Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(installedMark + "; change the source and install again.\n")
	encoder := toml.NewEncoder(&b)
	encoder.Indent = ""
	if err := encoder.Encode(m); err != nil {
		return nil, fmt.Errorf("write the manifest of %s: %w", m.Name, err)
	}
	return b.Bytes(), nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
