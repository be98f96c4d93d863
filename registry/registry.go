package registry

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/llenergymeasure/llem/sdk"
)

// Options is what a Registry works with.
type Options struct {
	// CacheDir keeps schemas and digests; empty keeps none.
	CacheDir string
	// CoreVersion is this llem's version, semver without a leading v. One
	// that is no semantic version (a development build) meets every plugin's
	// least core version.
	CoreVersion string
	// Lock, if not nil, holds the plugins that may be started.
	Lock *Lock
	// LookPath finds interpreters; nil is exec.LookPath, which never takes
	// one from the working directory.
	LookPath func(name string) (string, error)
}

// Entry is a plugin that was found.
type Entry struct {
	Manifest
	// Dir is the plugin's directory, absolute.
	Dir string
	// Origin says who named the directory that holds Dir; see Dir.Origin.
	Origin string
	// Shadows are directories with plugins of the same name further down the
	// search path, which are not used.
	Shadows []string
	// Problem says why the plugin cannot be used; nil if nothing speaks
	// against it so far.
	Problem error
}

// Registry is the plugins of one search path, as they were when it was opened.
// Its methods may be called from several goroutines.
type Registry struct {
	dirs    []Dir
	missing map[string]bool // by path of a Dir
	holding map[string]bool // those with plugins, usable or not
	entries map[string]*Entry
	options Options

	mu       sync.Mutex
	warnings []sdk.Warning
}

// Open lists the plugins in dirs. It reads manifests and starts nothing. A
// plugin that cannot be used is kept with its Problem, and hides others of
// its name as a good one would: which plugin measures must not depend on
// which is broken today. It is an error if a directory of --plugin-dir cannot
// be read; other unreadable directories are warnings.
func Open(dirs []Dir, o Options) (*Registry, error) {
	if o.LookPath == nil {
		o.LookPath = exec.LookPath
	}
	r := &Registry{dirs: dirs, missing: map[string]bool{}, holding: map[string]bool{}, entries: map[string]*Entry{}, options: o}
	seen := map[string]bool{} // real paths: a directory does not shadow itself
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir.Path); err == nil {
			if seen[real] {
				continue
			}
			seen[real] = true
		}
		if err := r.list(dir); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// list adds the plugins of one directory.
func (r *Registry) list(dir Dir) error {
	children, err := os.ReadDir(dir.Path)
	if err != nil {
		r.missing[dir.Path] = true
		switch {
		case dir.Origin == OriginFlag:
			return fmt.Errorf("--plugin-dir: %w; name a directory that holds plugins", err)
		case !dir.named() && errors.Is(err, fs.ErrNotExist):
		default:
			r.warn("plugin_dir_unreadable", fmt.Sprintf("%s: %v; plugins in it are not found", dir.Origin, err))
		}
		return nil
	}
	if _, err := os.Lstat(filepath.Join(dir.Path, ManifestFile)); err == nil {
		r.warn("plugin_dir_is_plugin", fmt.Sprintf("%s: %s is itself a plugin; name the directory that holds it, %s",
			dir.Origin, dir.Path, filepath.Dir(dir.Path)))
	}
	for _, child := range children {
		// Hidden ones are plugins half installed.
		if strings.HasPrefix(child.Name(), ".") {
			continue
		}
		path := filepath.Join(dir.Path, child.Name())
		info, err := os.Stat(path)
		if err != nil {
			r.warn("plugin_unreadable", fmt.Sprintf("%s: %v", dir.Origin, err))
			continue
		}
		if !info.IsDir() {
			continue
		}
		if entry, ok := read(path); ok {
			r.holding[dir.Path] = true
			entry.Origin = dir.Origin
			r.add(entry)
		}
	}
	return nil
}

// read makes an Entry of a directory; false if it is no plugin's.
func read(dir string) (Entry, bool) {
	name := filepath.Base(dir)
	broken := func(problem error) (Entry, bool) {
		return Entry{Manifest: Manifest{Name: name}, Dir: dir, Problem: problem}, true
	}
	file := filepath.Join(dir, ManifestFile)
	manifest, err := ReadManifest(file)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !executable(info.Mode()) {
			return Entry{}, false
		}
		return broken(fmt.Errorf("no plugin.toml in %s; run `llem plugins install %s`", dir, filepath.Join(dir, name)))
	}
	if err != nil {
		return broken(fmt.Errorf("%w; install the plugin again with `llem plugins install PATH`", err))
	}
	if manifest.Name != name {
		return broken(fmt.Errorf("%s: name: the plugin %q lies in a directory called %q; they must be the same, so rename the directory", file, manifest.Name, name))
	}
	entry := Entry{Manifest: manifest, Dir: dir}
	if manifest.Protocol != Protocol {
		entry.Problem = fmt.Errorf("%s: protocol: the plugin speaks version %d of the plugin contract, this llem speaks %d; install a build of %s made for it",
			file, manifest.Protocol, Protocol, name)
	}
	return entry, true
}

func (r *Registry) add(entry Entry) {
	if first, ok := r.entries[entry.Name]; ok {
		first.Shadows = append(first.Shadows, entry.Dir)
		return
	}
	r.entries[entry.Name] = &entry
}

func (r *Registry) warn(code, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := sdk.Warning{Code: code, Message: message}
	if !slices.Contains(r.warnings, w) {
		r.warnings = append(r.warnings, w)
	}
}

// Entries returns the plugins by name, those with a Problem included, those
// that are shadowed only as Shadows of the one that hides them.
func (r *Registry) Entries() []Entry {
	entries := make([]Entry, 0, len(r.entries))
	for _, entry := range r.entries {
		entries = append(entries, *entry)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries
}

// Warnings returns what went wrong besides, such as a directory of the user
// config that is not there.
func (r *Registry) Warnings() []sdk.Warning {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.warnings)
}

// Find returns the plugin that name means. The error is a *NotFoundError, or
// an *UnusableError with the entry's Problem; the entry is returned then, too.
func (r *Registry) Find(name string) (Entry, error) {
	entry, ok := r.entries[name]
	if !ok {
		return Entry{}, r.notFound(name)
	}
	if entry.Problem != nil {
		return *entry, &UnusableError{Name: name, Dir: entry.Dir, Problem: entry.Problem}
	}
	return *entry, nil
}

func (r *Registry) notFound(name string) error {
	e := &NotFoundError{Name: name, Installed: sortedKeys(r.entries)}
	e.Nearest = sdk.Nearest(name, e.Installed)
	e.Searched = r.Searched()
	return e
}

// Searched lists the directories that were looked into, each with its origin
// and with a word if it held no plugin: a directory of that name may be there
// for something else.
func (r *Registry) Searched() []string {
	var list []string
	for _, dir := range r.dirs {
		state := ", no plugin in it"
		switch {
		case r.missing[dir.Path]:
			state = ", not there"
		case r.holding[dir.Path]:
			state = ""
		}
		list = append(list, fmt.Sprintf("%s (%s%s)", dir.Path, dir.Origin, state))
	}
	return list
}

// NotFoundError is the answer to a name that no plugin has.
type NotFoundError struct {
	Name      string
	Nearest   string   // the name that was probably meant, or empty
	Installed []string // all names there are
	Searched  []string // directories, each with its origin
}

func (e *NotFoundError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plugin %q is not installed", e.Name)
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	if len(e.Searched) > 0 {
		fmt.Fprintf(&b, "\n  looked in  %s", strings.Join(e.Searched, "\n             "))
	}
	if len(e.Installed) > 0 {
		fmt.Fprintf(&b, "\n  installed  %s", strings.Join(e.Installed, ", "))
	} else {
		b.WriteString("\n  installed  none")
	}
	b.WriteString("\n  install it with `llem plugins install PATH`")
	return b.String()
}

// UnusableError is a plugin that is there and cannot be used.
type UnusableError struct {
	Name    string
	Dir     string
	Problem error
}

func (e *UnusableError) Error() string { return fmt.Sprintf("plugin %s: %v", e.Name, e.Problem) }

// Unwrap returns the problem.
func (e *UnusableError) Unwrap() error { return e.Problem }
