package result

import (
	"errors"
	"io/fs"
	"syscall"
)

// advice is the next thing to try after a failed write, as the tail of a
// sentence.
func advice(err error, otherwise string) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "; the disk is full: free some space or write elsewhere (--out)"
	case errors.Is(err, syscall.EFBIG):
		return "; a limit on file sizes is set: see `ulimit -f`"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return "; it is not writable: write elsewhere (--out) or change its permissions"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return "; a file is in the way: name another directory (--out)"
	}
	return "; " + otherwise
}
