package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const stagePattern = ".install-*"

// abandonedAfter is the age at which a stage is taken for one whose installer
// was killed; copying and describing a plugin takes seconds.
const abandonedAfter = time.Hour

// newStage makes a directory beside the final ones, hidden, so that one
// rename publishes it. It removes abandoned ones first.
func newStage(destRoot string) (string, error) {
	if err := os.MkdirAll(destRoot, 0o755); err != nil {
		return "", fmt.Errorf("%w; make the directory writable, or install into another one", err)
	}
	old, err := filepath.Glob(filepath.Join(destRoot, stagePattern))
	if err != nil {
		return "", err
	}
	for _, path := range old {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > abandonedAfter {
			if err := os.RemoveAll(path); err != nil {
				return "", fmt.Errorf("remove what an earlier installation left: %w", err)
			}
		}
	}
	stage, err := os.MkdirTemp(destRoot, stagePattern)
	if err != nil {
		return "", fmt.Errorf("%w; make the directory writable, or install into another one", err)
	}
	if err := os.Chmod(stage, 0o755); err != nil {
		return "", err
	}
	return stage, nil
}

// replaceable refuses to replace what is no installed plugin: the directory
// with the plugin's source code may well have the same name. A directory that
// holds nothing but files of the new plugin, such as a binary put there by
// hand, loses nothing.
func replaceable(dest string, m Manifest) error {
	info, err := os.Stat(dest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is there and is no directory; move it away, or install into another directory", dest)
	}
	manifest, err := os.ReadFile(filepath.Join(dest, ManifestFile))
	if err == nil && bytes.HasPrefix(manifest, []byte(installedMark)) {
		return nil
	}
	children, err := os.ReadDir(dest)
	if err != nil {
		return err
	}
	for _, child := range children {
		if _, own := m.Files[child.Name()]; !own {
			return fmt.Errorf("%s is there and was not written by `llem plugins install` (it holds %s); move it away, or install into another directory", dest, child.Name())
		}
	}
	return nil
}

// publish makes stage the plugin's directory. What was there before is under
// stage's name afterwards, for the caller to remove.
func publish(stage, dest string) error {
	for {
		err := unix.Renameat2(unix.AT_FDCWD, stage, unix.AT_FDCWD, dest, unix.RENAME_NOREPLACE)
		switch {
		case errors.Is(err, fs.ErrExist):
			err = unix.Renameat2(unix.AT_FDCWD, stage, unix.AT_FDCWD, dest, unix.RENAME_EXCHANGE)
			if errors.Is(err, fs.ErrNotExist) {
				continue // somebody removed it in between
			}
		case unsupported(err):
			err = os.Rename(stage, dest)
		}
		if unsupported(err) || errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
			err = replaceInTwoSteps(stage, dest)
		}
		if err != nil {
			return fmt.Errorf("publish %s: %w", dest, err)
		}
		return syncDir(filepath.Dir(dest))
	}
}

// unsupported tells whether the file system knows no such rename.
func unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP)
}

// replaceInTwoSteps is for file systems that cannot exchange two directories
// (some network ones): for a moment the plugin is not there. If the second
// step fails, the old plugin is put back.
func replaceInTwoSteps(stage, dest string) error {
	aside := stage + "-old"
	if err := os.Rename(dest, aside); err != nil {
		return err
	}
	if err := os.Rename(stage, dest); err != nil {
		return errors.Join(err, os.Rename(aside, dest))
	}
	return os.Rename(aside, stage)
}

// writeSynced writes a new file and makes sure that it is on the disk.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
