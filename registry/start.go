package registry

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Start starts a plugin for a measurement, after every check that can be made
// before: its files are read whole and compared with the manifest (no cache
// answers here, since a result will name the digest), and the lock is asked.
// Then the process has to be what the manifest says. The caller kills it.
//
// Between reading the files and executing them somebody could still exchange
// them; the digests guard against mistakes and unnoticed updates, not against
// whoever may write to the plugin's directory. Nor do they cover what the
// manifest does not list: an interpreter, the system's libraries, files that
// the plugin fetches itself.
func (r *Registry) Start(ctx context.Context, name string, o host.Options) (*host.Plugin, Entry, error) {
	entry, err := r.Find(name)
	if err != nil {
		return nil, entry, err
	}
	p, err := r.start(ctx, entry, o)
	return p, entry, err
}

func (r *Registry) start(ctx context.Context, entry Entry, o host.Options) (*host.Plugin, error) {
	if err := entry.verify(ctx, nil); err != nil {
		return nil, err
	}
	if err := r.options.checkLock(entry); err != nil {
		return nil, err
	}
	if o.CoreVersion == "" {
		o.CoreVersion = r.options.CoreVersion
	}
	p, err := entry.launch(ctx, r.options, o)
	if err != nil {
		return nil, err
	}
	if err := entry.compare(p.Description(), r.options.CoreVersion); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

func (o Options) checkLock(entry Entry) error {
	if o.Lock == nil {
		return nil
	}
	return o.Lock.Check(entry)
}

// launch starts the process and checks nothing of it.
func (e Entry) launch(ctx context.Context, options Options, o host.Options) (*host.Plugin, error) {
	argv := e.Argv()
	if err := e.checkProgram(); err != nil {
		return nil, err
	}
	if _, own := e.Files[e.Command[0]]; !own {
		path, err := options.LookPath(argv[0])
		if err != nil {
			return nil, fmt.Errorf("plugin %s: the command %q is neither among its files nor found in PATH (%w); install %s, or correct the command in %s and install the plugin again",
				e.Name, argv[0], err, argv[0], ManifestFile)
		}
		if argv[0], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	p, err := host.Start(ctx, host.Command{Path: argv[0], Args: argv[1:], Dir: e.Dir}, o)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", e.Name, err)
	}
	return p, nil
}

// Argv returns the command that starts the plugin from any working directory:
// Command, with those words that are files of the plugin as full paths.
func (e Entry) Argv() []string {
	argv := slices.Clone(e.Command)
	for i, word := range argv {
		if _, own := e.Files[word]; own {
			argv[i] = filepath.Join(e.Dir, filepath.FromSlash(word))
		}
	}
	return argv
}

// checkProgram refuses a program of the plugin's own that cannot be executed.
func (e Entry) checkProgram() error {
	if _, own := e.Files[e.Command[0]]; !own {
		return nil
	}
	path := e.Argv()[0]
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("plugin %s: %w; install it again with `llem plugins install PATH`", e.Name, err)
	}
	if !executable(info.Mode()) {
		return fmt.Errorf("plugin %s: %s is not executable; run `chmod +x %s`", e.Name, path, path)
	}
	return nil
}

// MismatchError is a plugin that says something else of itself than its
// manifest does.
type MismatchError struct {
	Name           string
	Manifest       string // path
	What           string // "name", "version", "kinds"
	Written, Found string
	Advice         string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("plugin %s: %s: %s: the manifest says %s, the plugin itself %s; %s",
		e.Name, e.Manifest, e.What, e.Written, e.Found, e.Advice)
}

// compare holds what the process says of itself against the manifest, and its
// demand on the core against this core.
func (e Entry) compare(d sdk.DescribeReport, coreVersion string) error {
	mismatch := func(what, written, found string) error {
		return &MismatchError{
			Name: e.Name, Manifest: filepath.Join(e.Dir, ManifestFile), What: what, Written: written, Found: found,
			Advice: "install it again with `llem plugins install PATH`",
		}
	}
	if d.Name != e.Name {
		return mismatch("name", fmt.Sprintf("%q", e.Name), fmt.Sprintf("%q", d.Name))
	}
	if d.Version != e.Version {
		return mismatch("version", e.Version, d.Version)
	}
	if kinds := kindNames(d.Kinds); !slices.Equal(kinds, slices.Sorted(slices.Values(e.Kinds))) {
		return mismatch("kinds", strings.Join(e.Kinds, ", "), strings.Join(kinds, ", "))
	}
	for _, schema := range [][]sdk.Parameter{d.BackendSchema, d.SourceSchema} {
		if err := sdk.CheckSecrets(schema); err != nil {
			return fmt.Errorf("plugin %s: its schema cannot be used: %w; tell its author", e.Name, err)
		}
	}
	return checkLeastCore(e.Name, d.LeastCore, coreVersion)
}

// checkLeastCore refuses a plugin made for a newer core. A core without a
// semantic version is a development build, of which nothing can be said.
func checkLeastCore(name, least, core string) error {
	if least == "" || !validVersion(core) {
		return nil
	}
	if !validVersion(least) {
		return fmt.Errorf("plugin %s: it asks for core version %q, which is no semantic version; tell its author", name, least)
	}
	if semver.Compare("v"+core, "v"+least) < 0 {
		return fmt.Errorf("plugin %s needs llem %s or newer, this is llem %s; update llem, or install an older %s", name, least, core, name)
	}
	return nil
}

func kindNames(kinds []sdk.Kind) []string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = string(kind)
	}
	slices.Sort(names)
	return names
}

// executable tells whether a file of this mode can be started.
func executable(mode fs.FileMode) bool { return mode.IsRegular() && mode&0o111 != 0 }
