package worker

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed python/*.py
var program embed.FS

// unpack writes the program into a new directory below dir ("" = the system's
// temporary one).
func unpack(dir string) (string, error) {
	target, err := os.MkdirTemp(dir, "llem-pytorch-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the worker's program: %w", err)
	}
	files, err := fs.Sub(program, "python")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(target, files); err != nil {
		return "", fmt.Errorf("write the worker's program to %s: %w", target, err)
	}
	return target, nil
}

func script(dir, name string) string { return filepath.Join(dir, name) }
