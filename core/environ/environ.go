// Package environ describes the machine on which a study runs. It stands
// beside the pipeline: the snapshot is taken before the first trial and stored
// in the result directory, captured and never configured.
//
// Every value is either there or named in Absent with the reason: on another
// machine, in a container or without permission a value may not be known, and
// then it is never 0. Each source is one function over a file tree, so that a
// tree of fixtures serves as well as the real root.
package environ

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SchemaVersion of an Environment.
const SchemaVersion = 1

// Environment is the snapshot of one host. Pointers and empty values are
// absent ones; Absent says why, by the JSON path of the value.
type Environment struct {
	SchemaVersion int    `json:"schema_version"`
	TakenUTC      string `json:"taken_utc"` // RFC 3339
	Host          Host   `json:"host"`
	CPU           CPU    `json:"cpu"`
	NUMA          []Node `json:"numa,omitempty"`
	Memory        Memory `json:"memory"`
	// LoadAverage over 1, 5 and 15 minutes, runnable tasks.
	LoadAverage []float64 `json:"load_average,omitempty"`
	Container   Container `json:"container"`
	Virtual     Virtual   `json:"virtual"`
	Clock       Clock     `json:"clock"`
	GPUs        []GPU     `json:"gpus,omitempty"`
	// NVIDIADriver is the kernel module's version.
	NVIDIADriver string `json:"nvidia_driver,omitempty"`
	Build        Build  `json:"build"`

	Absent map[string]string `json:"absent"`
}

// Snapshot describes this machine. It takes some milliseconds and starts no
// process; what ctx leaves no time for is absent.
func Snapshot(ctx context.Context) Environment { return SnapshotAt(ctx, "/") }

// SnapshotAt does the same for the machine whose file system begins at root.
// Values that only a system call knows are absent there.
func SnapshotAt(ctx context.Context, root string) Environment {
	s := &snapshot{root: root, real: root == "/", env: Environment{
		SchemaVersion: SchemaVersion, TakenUTC: time.Now().UTC().Format(time.RFC3339), Absent: map[string]string{},
	}}
	for _, source := range []struct {
		key  string
		read func()
	}{
		{"host", s.host}, {"cpu", s.cpu}, {"cpu", s.frequency}, {"numa", s.numa}, {"memory", s.memory}, {"load_average", s.load},
		{"container", s.container}, {"virtual", s.virtual}, {"clock", s.clock}, {"gpus", s.gpus}, {"build", s.build},
	} {
		if err := ctx.Err(); err != nil {
			s.absent(source.key, "not looked at: "+err.Error())
			continue
		}
		source.read()
	}
	return s.env
}

// snapshot is an Environment being filled.
type snapshot struct {
	root string
	real bool // root is this machine's own
	env  Environment
}

func (s *snapshot) absent(key, reason string) { s.env.Absent[key] = reason }

// read returns a file's text without the white space around it.
func (s *snapshot) read(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.root, path))
	return strings.TrimSpace(string(text)), err
}

// text reads a file into *to, or notes why key is absent.
func (s *snapshot) text(key, path string, to *string) {
	text, err := s.read(path)
	switch {
	case err != nil:
		s.absent(key, why(path, err))
	case text == "":
		s.absent(key, "/"+path+" is empty")
	default:
		*to = text
	}
}

// number reads a whole number, or notes why key is absent.
func (s *snapshot) number(key, path string) *int64 {
	text, err := s.read(path)
	if err != nil {
		s.absent(key, why(path, err))
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.absent(key, fmt.Sprintf("/%s holds %.40q, not a number", path, text))
		return nil
	}
	return &n
}

// glob lists paths relative to root, sorted.
func (s *snapshot) glob(pattern string) []string {
	found, err := filepath.Glob(filepath.Join(s.root, pattern))
	if err != nil {
		return nil // the patterns are constants
	}
	for i, path := range found {
		if rel, err := filepath.Rel(s.root, path); err == nil {
			found[i] = rel
		}
	}
	return found
}

func (s *snapshot) exists(path string) bool {
	_, err := os.Stat(filepath.Join(s.root, path))
	return err == nil
}

// why turns a failed read into words that are the same on every machine.
func why(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "/" + path + " does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "/" + path + " may not be read by this user"
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return "/" + path + ": " + err.Error()
}

// fields reads lines of "key<separator>value".
func fields(text, separator string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, separator); ok {
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			if _, seen := out[key]; !seen {
				out[key] = value
			}
		}
	}
	return out
}
