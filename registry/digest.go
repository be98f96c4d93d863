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
	"path/filepath"
	"syscall"
)

// DigestError is a file whose content is not that of the manifest.
type DigestError struct {
	Name, File string // plugin, and its file with the full path
	Want, Got  string // sha256, hex
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("plugin %s: %s has changed since it was installed (sha256 %.12s…, the manifest says %.12s…); if you changed it, run `llem plugins install PATH` again",
		e.Name, e.File, e.Got, e.Want)
}

// fileStamp is what the kernel says of a file; content cannot change without
// a change in it, but for the limits that digestcache.go names.
type fileStamp struct {
	Device, Inode          uint64
	Size, MtimeNs, CtimeNs int64
	Mode                   uint32
}

func stampOf(info fs.FileInfo) (fileStamp, error) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileStamp{}, errors.New("this system does not tell a file's inode")
	}
	return fileStamp{
		Device: uint64(s.Dev), Inode: s.Ino, Size: s.Size,
		MtimeNs: s.Mtim.Nano(), CtimeNs: s.Ctim.Nano(), Mode: uint32(s.Mode),
	}, nil
}

// openFile opens a plugin's file. The root refuses what leads out of the
// directory, through symbolic links too; whatever is no regular file is
// refused before it is opened, since opening a pipe would block.
func openFile(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// hashFile returns the sha256 of a plugin's file and the stamp that it had
// while it was read.
func hashFile(root *os.Root, name string) (string, fileStamp, error) {
	f, err := openFile(root, name)
	if err != nil {
		return "", fileStamp{}, err
	}
	defer f.Close()
	before, err := statOpen(f)
	if err != nil {
		return "", fileStamp{}, err
	}
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, onlyReader{f}, make([]byte, 256<<10)); err != nil {
		return "", fileStamp{}, fmt.Errorf("read %s: %w", name, err)
	}
	after, err := statOpen(f)
	if err != nil {
		return "", fileStamp{}, err
	}
	if before != after {
		return "", fileStamp{}, fmt.Errorf("%s changed while it was read; is it being built?", name)
	}
	return hex.EncodeToString(hash.Sum(nil)), after, nil
}

// onlyReader hides File.WriteTo, which would make CopyBuffer ignore its buffer.
type onlyReader struct{ io.Reader }

func statOpen(f *os.File) (fileStamp, error) {
	info, err := f.Stat()
	if err != nil {
		return fileStamp{}, err
	}
	return stampOf(info)
}

// verify compares every file of the plugin with the manifest. Digests come
// from cache where it knows the file as it is; nil reads every file.
func (e Entry) verify(ctx context.Context, cache *digestCache) error {
	root, err := os.OpenRoot(e.Dir)
	if err != nil {
		return fmt.Errorf("plugin %s: %w; install it again with `llem plugins install PATH`", e.Name, err)
	}
	defer root.Close()
	for _, name := range sortedKeys(e.Files) {
		if err := ctx.Err(); err != nil {
			return err
		}
		got, err := cache.digest(root, name)
		if err != nil {
			return fmt.Errorf("plugin %s: check %s: %w; install the plugin again with `llem plugins install PATH`",
				e.Name, filepath.Join(e.Dir, name), err)
		}
		if want := e.Files[name]; got != want {
			return &DigestError{Name: e.Name, File: filepath.Join(e.Dir, name), Want: want, Got: got}
		}
	}
	return nil
}

// Verify compares the plugin's files with its manifest and starts nothing.
// Files that are unchanged by size, times and inode since they were last read
// are not read again; Start, before which a result depends on it, reads them.
func (r *Registry) Verify(name string) error {
	entry, err := r.Find(name)
	if err != nil {
		return err
	}
	return r.verifyCached(context.Background(), entry)
}

func (r *Registry) verifyCached(ctx context.Context, entry Entry) error {
	cache := openDigestCache(r.options.CacheDir, entry.Dir)
	if err := entry.verify(ctx, cache); err != nil {
		return err
	}
	if err := cache.save(); err != nil {
		r.warn("digest_cache", fmt.Sprintf("keep the digests of plugin %s: %v; they are computed again each time", entry.Name, err))
	}
	return nil
}
