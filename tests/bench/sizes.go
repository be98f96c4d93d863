package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// Limits of the stripped binaries, in MB. The embedded engine carries its
// kernels and has no limit.
const (
	coreLimitMB   = 32
	pluginLimitMB = 20
)

// sizes weighs the binaries that `make` built.
func sizes() ([]figure, error) {
	core, err := megabytes("build/llem")
	if err != nil {
		return nil, fmt.Errorf("%w; run make first", err)
	}
	list := []figure{{name: "size of llem", unit: "MB", value: core, limit: coreLimitMB}}
	paths, err := filepath.Glob("build/bin/*")
	if err != nil {
		return list, err
	}
	for _, path := range paths {
		size, err := megabytes(path)
		if err != nil {
			return list, err
		}
		f := figure{name: "size of plugin " + filepath.Base(path), unit: "MB", value: size, limit: pluginLimitMB}
		if filepath.Base(path) == "ggml" {
			f.limit, f.note = 0, "with its kernels"
		}
		list = append(list, f)
	}
	return list, nil
}

func megabytes(path string) (float64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()) / 1e6, nil
}
