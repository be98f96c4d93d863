package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// hashPiece is how much is read of a file between two looks at the context.
const hashPiece = 16 << 20

// HashContent writes the content of a file, which may be large, to h: a
// ModelIdentity's artifact digest is "sha256:" over a single file's content. It ends
// with ctx.
func HashContent(ctx context.Context, h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return hashFrom(ctx, h, f)
}

// HashFile is HashContent for one of several files: "name size\n", without the
// directory, goes before the content, so that where one ends is in the digest.
func HashFile(ctx context.Context, h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(h, "%s %d\n", filepath.Base(path), info.Size()); err != nil {
		return err
	}
	return hashFrom(ctx, h, f)
}

func hashFrom(ctx context.Context, h io.Writer, f io.Reader) error {
	for {
		switch _, err := io.CopyN(h, f, hashPiece); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}
