package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Install copies a plugin into destRoot/NAME, where NAME is what the plugin
// calls itself. path is an executable, or a directory with a plugin.toml and
// everything the plugin needs; that plugin.toml has at least name and command,
// and if it lists files, only those are taken.
//
// The copy is started once to describe itself before it is published, so what
// does not work is not installed. A plugin of that name that is there already
// is replaced in one step: at every moment a reader finds the old one or the
// new one, and processes that run keep theirs.
func Install(ctx context.Context, path, destRoot string, o Options) (Entry, error) {
	entry, err := install(ctx, path, destRoot, o)
	if err != nil {
		return Entry{}, fmt.Errorf("install %s: %w", path, err)
	}
	return entry, nil
}

func install(ctx context.Context, path, destRoot string, o Options) (Entry, error) {
	if o.LookPath == nil {
		o.LookPath = exec.LookPath
	}
	if destRoot == "" {
		return Entry{}, errors.New("no directory to install into: neither XDG_DATA_HOME nor HOME holds an absolute path; set one, or name a directory")
	}
	src, err := sourceAt(path)
	if err != nil {
		return Entry{}, err
	}
	destRoot, err = filepath.Abs(destRoot)
	if err != nil {
		return Entry{}, err
	}
	stage, err := newStage(destRoot)
	if err != nil {
		return Entry{}, err
	}
	defer os.RemoveAll(stage) //nolint:errcheck // after publishing: the replaced plugin, or nothing

	m := src.manifest
	if m.Files, err = src.copyTo(ctx, stage); err != nil {
		return Entry{}, err
	}
	report, err := describeStaged(ctx, Entry{Manifest: m, Dir: stage}, o)
	if err != nil {
		return Entry{}, err
	}
	if m, err = src.complete(m, report); err != nil {
		return Entry{}, err
	}
	if err := (Entry{Manifest: m, Dir: src.dir}).compare(report, o.CoreVersion); err != nil {
		var mismatch *MismatchError
		if errors.As(err, &mismatch) {
			mismatch.Advice = "correct the line, or leave version and kinds out"
		}
		return Entry{}, err
	}
	data, err := m.encode()
	if err != nil {
		return Entry{}, err
	}
	if err := writeSynced(filepath.Join(stage, ManifestFile), data); err != nil {
		return Entry{}, err
	}
	dest := filepath.Join(destRoot, m.Name)
	if err := replaceable(dest, m); err != nil {
		return Entry{}, err
	}
	if err := publish(stage, dest); err != nil {
		return Entry{}, err
	}
	if _, err := ReadManifest(filepath.Join(dest, ManifestFile)); err != nil {
		return Entry{}, fmt.Errorf("what was written cannot be read again: %w", err)
	}
	entry := Entry{Manifest: m, Dir: dest, Origin: "installed"}
	// Without this the next dry run would start the plugin; no more is lost.
	_ = schemaCache{o}.put(m, ofAnyProcess(report))
	return entry, nil
}

// source is what is to be installed.
type source struct {
	dir      string
	files    []string // with slashes, relative to dir
	bare     bool     // an executable without a manifest, named by itself
	manifest Manifest // as far as the author wrote it
}

func sourceAt(path string) (source, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return source{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return source{}, fmt.Errorf("%w; name a plugin's executable, or a directory with a %s", err, ManifestFile)
	}
	if filepath.Base(path) == ManifestFile {
		path = filepath.Dir(path)
	} else if !info.IsDir() {
		return binarySource(path, info)
	}
	return directorySource(path)
}

func binarySource(path string, info fs.FileInfo) (source, error) {
	if !executable(info.Mode()) {
		return source{}, fmt.Errorf("not an executable file; run `chmod +x %s` if it is a program, or write a %s beside it for a script and install the directory", path, ManifestFile)
	}
	name := filepath.Base(path)
	return source{
		dir:      filepath.Dir(path),
		files:    []string{name},
		bare:     true,
		manifest: Manifest{Name: name, Command: []string{name}},
	}, nil
}

func directorySource(dir string) (source, error) {
	d, err := readDocument(filepath.Join(dir, ManifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		own := filepath.Join(dir, filepath.Base(dir))
		if info, err := os.Stat(own); err == nil && executable(info.Mode()) {
			return source{}, fmt.Errorf("no %s in it; install the executable: `llem plugins install %s`", ManifestFile, own)
		}
		return source{}, fmt.Errorf("no %s in it; write one with at least name and command, or name the plugin's executable", ManifestFile)
	}
	if err != nil {
		return source{}, err
	}
	m, err := manifestOf(d, false)
	if err != nil {
		return source{}, err
	}
	if len(m.Files) > 0 {
		return source{dir: dir, files: sortedKeys(m.Files), manifest: m}, nil
	}
	files, err := filesIn(dir)
	if err != nil {
		return source{}, err
	}
	return source{dir: dir, files: files, manifest: m}, nil
}

// filesIn lists what belongs to a plugin whose manifest names no files:
// everything but the manifest, hidden files and Python's compiled modules.
func filesIn(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case name == ".":
		case strings.HasPrefix(entry.Name(), ".") || entry.Name() == "__pycache__":
			if entry.IsDir() {
				return filepath.SkipDir
			}
		case entry.IsDir() || name == ManifestFile:
		default:
			files = append(files, filepath.ToSlash(name))
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no file in it beside %s", ManifestFile)
	}
	return files, err
}

// copyTo copies the files and returns their digests, which must be those that
// the author's manifest holds, if it does.
func (s source) copyTo(ctx context.Context, stage string) (map[string]string, error) {
	from, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	digests := map[string]string{}
	for _, name := range s.files {
		if err := checkFile(name); err != nil {
			return nil, err
		}
		sum, err := copyFile(ctx, from, name, filepath.Join(stage, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		if want, ok := s.manifest.Files[name]; ok && want != sum {
			return nil, &DigestError{Name: s.manifest.Name, File: filepath.Join(s.dir, name), Want: want, Got: sum}
		}
		digests[name] = sum
	}
	return digests, nil
}

func copyFile(ctx context.Context, from *os.Root, name, to string) (sum string, err error) {
	in, err := openFile(from, name)
	if err != nil {
		return "", err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return "", err
	}
	mode := fs.FileMode(0o644)
	if executable(info.Mode()) {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	hash := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(out, hash), untilDone{ctx, in}, make([]byte, 256<<10)); err != nil {
		return "", fmt.Errorf("copy %s: %w", name, err)
	}
	if err := out.Sync(); err != nil {
		return "", fmt.Errorf("copy %s: %w", name, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// untilDone is a reader that gives up with its context.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// describeStaged starts the copy and asks it who it is.
func describeStaged(ctx context.Context, entry Entry, o Options) (sdk.DescribeReport, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		p, err := entry.launch(ctx, o, host.Options{CoreVersion: o.CoreVersion})
		if err == nil {
			report := p.Description()
			p.Kill()
			return report, nil
		}
		// A process forked elsewhere in this program between the copy's open
		// and close holds it open for writing until its own exec, and Linux
		// executes no file that is open so.
		if !errors.Is(err, syscall.ETXTBSY) || wait > time.Second {
			return sdk.DescribeReport{}, fmt.Errorf("it does not answer as an llem plugin: %w", err)
		}
		select {
		case <-ctx.Done():
			return sdk.DescribeReport{}, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// complete fills in what the author left to the plugin itself.
func (s source) complete(m Manifest, report sdk.DescribeReport) (Manifest, error) {
	if err := checkName(report.Name); err != nil {
		return Manifest{}, fmt.Errorf("it describes itself by a name that cannot be used: %w", err)
	}
	if !validVersion(report.Version) {
		return Manifest{}, fmt.Errorf("it describes itself by version %q; expected a semantic version such as 1.2.0", report.Version)
	}
	if len(report.Kinds) == 0 {
		return Manifest{}, errors.New("it describes itself as neither a backend nor an energy source")
	}
	if silent := undocumented(report); len(silent) > 0 {
		return Manifest{}, fmt.Errorf("it has no doc for %s; listings and errors show it, and `llem plugins check` would refuse it: give each one sentence", strings.Join(silent, ", "))
	}
	if s.bare {
		m.Name = report.Name
	}
	if len(m.Kinds) == 0 {
		m.Kinds = kindNames(report.Kinds)
	}
	if m.Version == "" {
		m.Version = report.Version
	}
	if m.Protocol == 0 {
		m.Protocol = Protocol
	}
	if m.Protocol != Protocol {
		return Manifest{}, fmt.Errorf("its manifest says protocol %d, this llem speaks %d; correct the line or leave it out", m.Protocol, Protocol)
	}
	return m, nil
}

// undocumented lists what a plugin says nothing about: itself, or a parameter.
func undocumented(report sdk.DescribeReport) []string {
	var silent []string
	if report.Doc == "" {
		silent = append(silent, "the plugin itself")
	}
	var look func(prefix string, schema []sdk.Parameter)
	look = func(prefix string, schema []sdk.Parameter) {
		for _, p := range schema {
			if p.Description == "" {
				silent = append(silent, prefix+p.Key)
			}
			look(prefix+p.Key+".", p.Children)
		}
	}
	look("", report.BackendSchema)
	look("", report.SourceSchema)
	return silent
}
