package dummy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// formatVersion enters each file's name; raise it when the bytes change.
const formatVersion = 1

// CacheDir returns the directory for weight files where the host names none:
// $LLEM_CACHE_DIR, or llem in the user's cache directory, and ggml in it.
func CacheDir() (string, error) {
	if dir := os.Getenv("LLEM_CACHE_DIR"); dir != "" {
		return filepath.Join(dir, "ggml"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a directory for weight files: %w; set LLEM_CACHE_DIR", err)
	}
	return filepath.Join(dir, "llem", "ggml"), nil
}

// File is a model in the cache.
type File struct {
	Path   string
	SHA256 string // hexadecimal, of the whole file
	Built  bool   // written by this call
}

// Ensure returns the model's file in dir, written now unless it is there
// already with the content that was written then. Processes may do this at
// once: each writes under a name of its own, and since the content is the same
// the last rename wins without harm.
func Ensure(dir string, s Shape, w WeightType, seed uint64) (File, error) {
	if err := s.Validate(w); err != nil {
		return File{}, err
	}
	path := filepath.Join(dir, fileName(s, w, seed))
	if digest, ok := intact(path); ok {
		return File{Path: path, SHA256: digest}, nil
	}
	digest, err := build(path, s, w, seed)
	if err != nil {
		return File{}, fmt.Errorf("write random weights to %s: %w; LLEM_CACHE_DIR names another directory", path, err)
	}
	return File{Path: path, SHA256: digest, Built: true}, nil
}

// fileName is readable in front and unique behind.
func fileName(s Shape, w WeightType, seed uint64) string {
	key := sha256.Sum256(fmt.Appendf(nil, "%d %+v %s %d", formatVersion, s, w, seed))
	return fmt.Sprintf("random-%dM-%s-%s.gguf", s.Parameters()/1e6, w, hex.EncodeToString(key[:8]))
}

// digestPath is where the digest of a finished file is kept. It appears after
// the file, so that a file without one is unfinished business.
func digestPath(path string) string { return path + ".sha256" }

// intact tells whether the file is there with the digest noted for it.
func intact(path string) (digest string, ok bool) {
	noted, err := os.ReadFile(digestPath(path))
	if err != nil {
		return "", false
	}
	found, err := Digest(path)
	if err != nil || found != strings.TrimSpace(string(noted)) {
		return "", false
	}
	return found, true
}

// Digest returns the SHA-256 of a file in hexadecimal.
func Digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func build(path string, s Shape, w WeightType, seed uint64) (digest string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	err = replace(path, func(f *os.File) error { return Write(f, s, w, seed) })
	if err != nil {
		return "", err
	}
	if digest, err = Digest(path); err != nil {
		return "", err
	}
	return digest, replace(digestPath(path), func(f *os.File) error {
		_, err := f.WriteString(digest + "\n")
		return err
	})
}

// replace puts what fill writes at path in one step.
func replace(path string, fill func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(fill(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
