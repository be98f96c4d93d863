package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/google/renameio/v2"
)

// LockFile is the usual name of a lock, beside the study.
const LockFile = "llem.lock"

// ErrLockChanged is what a *LockChangedError is, for errors.Is.
var ErrLockChanged = errors.New("plugin differs from the lock")

// Lock holds the plugins that a study was first measured with. A plugin of
// the same name and another content is refused, so that a series of results
// cannot change its engine unnoticed.
type Lock struct {
	// Path of the file that the lock was read from, for messages.
	Path string
	// Renew is the command that writes the lock again, for messages.
	Renew string
	// Plugins by name.
	Plugins map[string]LockedPlugin
}

// LockedPlugin is one plugin of a lock.
type LockedPlugin struct {
	Version  string
	Protocol int
	Digest   string // Manifest.Digest
}

// lockSchema is the version of the file's layout.
const lockSchema = 1

// ReadLock reads a lock file. An error about an absent one is
// fs.ErrNotExist; other errors hold every finding with file and line.
func ReadLock(path string) (*Lock, error) {
	d, err := readDocument(path)
	if err != nil {
		return nil, err
	}
	return lockOf(d)
}

func lockOf(d *document) (*Lock, error) {
	d.only("", d.tree, "schema_version", "plugins")
	schema := get[int64](d, "", d.tree, "schema_version", true)
	if len(d.found) == 0 && schema != lockSchema {
		d.refuse("schema_version", "this llem reads version %d, found %d; write the lock again with `llem plugins lock STUDY.toml`", lockSchema, schema)
	}
	lock := &Lock{Path: d.file, Plugins: map[string]LockedPlugin{}}
	plugins := get[map[string]any](d, "", d.tree, "plugins", false)
	for _, name := range sortedKeys(plugins) {
		prefix := "plugins." + name + "."
		if err := checkName(name); err != nil {
			d.refuse("plugins."+name, "%v", err)
			continue
		}
		table := get[map[string]any](d, "plugins.", plugins, name, true)
		if table == nil {
			continue
		}
		d.only(prefix, table, "version", "protocol", "digest")
		before := len(d.found)
		locked := LockedPlugin{
			Version:  get[string](d, prefix, table, "version", true),
			Protocol: int(get[int64](d, prefix, table, "protocol", true)),
			Digest:   get[string](d, prefix, table, "digest", true),
		}
		if len(d.found) > before {
			continue
		}
		if !validVersion(locked.Version) {
			d.refuse(prefix+"version", "%q is no semantic version", locked.Version)
		}
		if len(locked.Digest) < 7 || locked.Digest[:7] != "sha256:" || !digestPattern.MatchString(locked.Digest[7:]) {
			d.refuse(prefix+"digest", "expected sha256: and 64 hex digits, found %q", locked.Digest)
		}
		lock.Plugins[name] = locked
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return lock, nil
}

// WriteLock writes lock to path, whole or not at all.
func WriteLock(path string, lock *Lock) error {
	if err := renameio.WriteFile(path, lock.Text(), 0o644); err != nil {
		return fmt.Errorf("write the lock %s: %w", path, err)
	}
	return nil
}

// Text is the lock as a file holds it.
func (l *Lock) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The plugins that the studies beside it were measured with. `llem plugins lock STUDY.toml` renews it.\nschema_version = %d\n", lockSchema)
	for _, name := range sortedKeys(l.Plugins) {
		locked := l.Plugins[name]
		// Names, versions and digests are plain ASCII: ReadLock and manifests
		// admit nothing that a quoted Go string would write unlike TOML.
		fmt.Fprintf(&b, "\n[plugins.%s]\nversion = %q\nprotocol = %d\ndigest = %q\n", name, locked.Version, locked.Protocol, locked.Digest)
	}
	return b.Bytes()
}

// LockFor makes a lock of the named plugins as they are now. Their files are
// read whole and compared with their manifests first.
func (r *Registry) LockFor(names []string) (*Lock, error) {
	lock := &Lock{Plugins: map[string]LockedPlugin{}}
	for _, name := range names {
		entry, err := r.Find(name)
		if err != nil {
			return nil, err
		}
		if err := entry.verify(context.Background(), nil); err != nil {
			return nil, err
		}
		lock.Plugins[name] = entry.locked()
	}
	return lock, nil
}

func (e Entry) locked() LockedPlugin {
	return LockedPlugin{Version: e.Version, Protocol: e.Protocol, Digest: e.Digest()}
}

// Missing returns those of names that the lock does not hold: plugins new to
// the study, which the caller adds with Extend at their first use.
func (l *Lock) Missing(names []string) []string {
	var missing []string
	for _, name := range names {
		if _, ok := l.Plugins[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// Extend returns a lock with the plugins of both; what l holds already stays.
func (l *Lock) Extend(other *Lock) *Lock {
	plugins := maps.Clone(other.Plugins)
	if plugins == nil {
		plugins = map[string]LockedPlugin{}
	}
	maps.Copy(plugins, l.Plugins)
	return &Lock{Path: l.Path, Renew: l.Renew, Plugins: plugins}
}

// Renewed returns a lock with now's plugins, and those of l that now does not hold
// and that still exist: a lock serves all studies of its directory. The others are
// removed, and named.
func (l *Lock) Renewed(now *Lock, exists func(name string) bool) (renewed *Lock, removed []string) {
	kept := &Lock{Path: l.Path, Renew: l.Renew, Plugins: map[string]LockedPlugin{}}
	for _, name := range sortedKeys(l.Plugins) {
		if _, named := now.Plugins[name]; named {
			continue
		}
		if exists(name) {
			kept.Plugins[name] = l.Plugins[name]
		} else {
			removed = append(removed, name)
		}
	}
	return kept.Extend(now), removed
}

// Check compares a plugin with the lock. A difference is a
// *LockChangedError; a plugin that the lock does not hold passes.
func (l *Lock) Check(e Entry) error {
	old, ok := l.Plugins[e.Name]
	if !ok || old == e.locked() {
		return nil
	}
	return &LockChangedError{Name: e.Name, Path: l.Path, Renew: l.Renew, Dir: e.Dir, Old: old, New: e.locked()}
}

// LockChangedError is a plugin that differs from the lock.
type LockChangedError struct {
	Name     string
	Path     string // of the lock, or empty
	Renew    string // the command that writes it again, or empty
	Dir      string // of the plugin
	Old, New LockedPlugin
}

func (e *LockChangedError) Error() string {
	lock := e.Path
	if lock == "" {
		lock = LockFile
	}
	renew := cmp.Or(e.Renew, "llem plugins lock STUDY.toml")
	return fmt.Sprintf("plugin %s in %s is not the one that %s holds: version %s with digest %.19s…, locked is version %s with digest %.19s…; if the change is meant, run `%s`, or else install the locked version again",
		e.Name, e.Dir, lock, e.New.Version, e.New.Digest, e.Old.Version, e.Old.Digest, renew)
}

// Is makes errors.Is(err, ErrLockChanged) hold.
func (e *LockChangedError) Is(target error) bool { return target == ErrLockChanged }
