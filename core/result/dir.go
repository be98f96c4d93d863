package result

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// The parts of a result directory.
const (
	runsDir        = "runs"
	attemptsDir    = "attempts"
	environmentDir = "environment"
	workDir        = "work"
	studyFile      = "study.toml"
	lockFile       = "llem.lock"
	factorsFile    = "factors.json"
)

// ErrExists: what was to be published or planned is there already. Nothing
// was changed.
var ErrExists = errors.New("already exists")

// Dir is the result directory of one study. Its files can be written by
// several processes, also on several hosts: every one of them appears whole,
// by a rename.
type Dir struct {
	path string
	// unstored are this process's attempts whose records could not be written, by
	// name, and why: on a full disk nothing else can hold it.
	unstored map[string]error
}

// Create makes <outRoot>/<study>-<UTC time>-<4 hex digits>/ with its empty
// parts. The digits are random, so that two starts within a second differ.
func Create(outRoot, studyName string, startedAt time.Time) (*Dir, error) {
	if err := os.MkdirAll(outRoot, 0o755); err != nil {
		return nil, makeError(outRoot, err)
	}
	var id [2]byte
	for range 16 {
		if _, err := rand.Read(id[:]); err != nil {
			return nil, fmt.Errorf("draw the id of a result directory: %w", err)
		}
		name := slug(studyName, "study") + "-" + startedAt.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(id[:])
		d := &Dir{path: filepath.Join(outRoot, name)}
		err := os.Mkdir(d.path, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, makeError(outRoot, err)
		}
		for _, part := range []string{runsDir, attemptsDir, environmentDir, workDir} {
			if err := os.Mkdir(filepath.Join(d.path, part), 0o755); err != nil {
				return nil, makeError(d.path, err)
			}
		}
		return d, nil
	}
	return nil, fmt.Errorf("make a result directory in %s: 16 random names were all taken; try again", outRoot)
}

func makeError(where string, err error) error {
	return fmt.Errorf("make a result directory in %s: %w%s", where, err, advice(err, "name another directory"))
}

// inside names the newest of the result directories in a directory of them.
func inside(path string) string {
	found, err := filepath.Glob(filepath.Join(path, "*", runsDir))
	newest, at := "", time.Time{}
	for _, runs := range found {
		if info, err := os.Stat(runs); err == nil && info.IsDir() && info.ModTime().After(at) {
			newest, at = filepath.Dir(runs), info.ModTime()
		}
	}
	if err != nil || newest == "" {
		return ""
	}
	return fmt.Sprintf("; it holds %d of them, the newest is %s", len(found), newest)
}

// OpenDir opens an existing result directory.
func OpenDir(path string) (*Dir, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open result directory: %w; a run prints the path of its own at its end", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open result directory %s: it is a file; name the directory that holds runs/", path)
	}
	// What copies directories often leaves empty ones out: either of the two shows
	// what this is, and the other is empty.
	for _, part := range []string{runsDir, attemptsDir} {
		if info, err := os.Stat(filepath.Join(path, part)); err == nil && info.IsDir() {
			return &Dir{path: path}, nil
		}
	}
	return nil, fmt.Errorf("open result directory %s: it has no %s/, so it is no result directory%s", path, runsDir, inside(path))
}

// Path of the directory.
func (d *Dir) Path() string { return d.path }

// DiscardEmpty removes a directory in which no trial was begun, and tells whether
// it did.
func (d *Dir) DiscardEmpty() (bool, error) {
	for _, part := range []string{runsDir, attemptsDir} {
		list, err := os.ReadDir(filepath.Join(d.path, part))
		if err != nil || len(list) > 0 {
			return false, err
		}
	}
	return true, os.RemoveAll(d.path)
}

// WriteStudy keeps the text of the study file as it was read.
func (d *Dir) WriteStudy(text []byte) error { return d.write(studyFile, text) }

// WriteLock keeps the lock of the plugins in use.
func (d *Dir) WriteLock(text []byte) error { return d.write(lockFile, text) }

// WriteFactors keeps the factors that were configured at the time of the run.
func (d *Dir) WriteFactors(factors any) error {
	text, err := marshal(factors)
	if err != nil {
		return fmt.Errorf("encode the factors: %w", err)
	}
	return d.write(factorsFile, text)
}

// WritePlan writes plan-<round>.json before the round's blocks start. A plan
// that was written is never changed: another one for the same round is
// ErrExists.
func (d *Dir) WritePlan(round int, plan any) error {
	text, err := marshal(plan)
	if err != nil {
		return fmt.Errorf("encode the plan of round %d: %w", round, err)
	}
	name := fmt.Sprintf("plan-%d.json", round)
	old, err := os.ReadFile(filepath.Join(d.path, name))
	switch {
	case err == nil && bytes.Equal(old, text):
		return nil
	case err == nil:
		return fmt.Errorf("write %s: another plan %w; a round's plan cannot change, give the new one the next round", filepath.Join(d.path, name), ErrExists)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write %s: look for an earlier one: %w", name, err)
	}
	return d.write(name, text)
}

// WriteEnvironment writes the snapshot of one host.
func (d *Dir) WriteEnvironment(host string, snapshot any) error {
	text, err := marshal(snapshot)
	if err != nil {
		return fmt.Errorf("encode the environment of %s: %w", host, err)
	}
	return d.write(filepath.Join(environmentDir, slug(host, "host")+".json"), text)
}

// write puts a file in place whole: synced, then renamed.
func (d *Dir) write(name string, text []byte) error {
	path := filepath.Join(d.path, name)
	if err := renameio.WriteFile(path, text, 0o644, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return writeError(path, err)
	}
	return nil
}

func writeError(path string, err error) error {
	// "write PATH" is said already.
	var inner *fs.PathError
	if errors.As(err, &inner) && (inner.Path == path || inner.Op == "write") && err.Error() == inner.Error() {
		err = inner.Err
	}
	return fmt.Errorf("write %s: %w%s", path, err, advice(err, "check the file system"))
}

// marshal is the form of every JSON file: indented, so that it can be read
// and compared, ending in a newline, and without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// slug makes one path element of a name that may hold anything.
func slug(name, fallback string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	s := strings.Trim(b.String(), "-.")
	if len(s) > 64 {
		s = s[:64]
	}
	if s == "" {
		return fallback
	}
	return s
}
