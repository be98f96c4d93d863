package result

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is one of a trial's files as it was when the record was written, so that another
// trial's in its place is noticed.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}

// filesOf describes what lies beside a record that is about to be written. Nothing is
// written to them any more.
func filesOf(trialDir string) ([]File, error) {
	var files []File
	for _, name := range []string{requestsFile, powerFile, logFile} {
		info, err := os.Stat(filepath.Join(trialDir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		file := File{Name: name}
		if err == nil {
			file.Bytes = info.Size()
			file.SHA256, err = digest(filepath.Join(trialDir, name), file.Bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("read back what was written: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

// digest of a file that has so many bytes.
func digest(path string, size int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	h := sha256.New()
	if _, err := io.CopyN(h, f, size); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// errChanged: a file is another one than its trial's record describes.
var errChanged = errors.New("it is not the file that the trial's record describes")

// check holds a file against its description. One of another size is not read.
func (f File) check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() != f.Bytes {
		return fmt.Errorf("%w: it has %d bytes, and %d were written", errChanged, info.Size(), f.Bytes)
	}
	now, err := digest(path, f.Bytes)
	if err == nil && now != f.SHA256 {
		err = fmt.Errorf("%w: its SHA-256 is %s, and that of what was written %s", errChanged, now, f.SHA256)
	}
	return err
}
