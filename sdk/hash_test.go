package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestHashes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.bin")
	content := bytes.Repeat([]byte("0123456789abcdef"), (hashPiece+1000)/16) // more than a piece
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		hash func(context.Context, *bytes.Buffer) error
		want []byte
	}{
		"content": {func(ctx context.Context, b *bytes.Buffer) error { return HashContent(ctx, b, path) }, content},
		"file":    {func(ctx context.Context, b *bytes.Buffer) error { return HashFile(ctx, b, path) }, append([]byte("weights.bin 16778208\n"), content...)},
	} {
		var got bytes.Buffer
		if err := c.hash(t.Context(), &got); err != nil || !bytes.Equal(got.Bytes(), c.want) {
			sum := sha256.Sum256(got.Bytes())
			t.Errorf("%s: %d bytes (%s), error %v", name, got.Len(), hex.EncodeToString(sum[:8]), err)
		}
		over, stop := context.WithCancel(t.Context())
		stop()
		if err := c.hash(over, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v after the end of its context", name, err)
		}
	}
	for _, err := range []error{HashContent(t.Context(), &bytes.Buffer{}, path+"x"), HashFile(t.Context(), &bytes.Buffer{}, path+"x")} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v of no file", err)
		}
	}
}
