package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/llenergymeasure/llem/sdk"
)

// mostHeader bounds the header of a safetensors file; transformers' own bound.
const mostHeader = 100 << 20

// inspectDir looks at a model's directory: its config and, unless the weights
// are random, whether its files are whole. bytes is the size of the weights, or
// 0 where they are in another format than safetensors.
func inspectDir(dir string, random bool) (s shape, bytes int64, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return s, 0, fmt.Errorf("%s has no config.json; a model's directory is written by save_pretrained or `hf download`", dir)
		}
		return s, 0, err
	}
	if s, err = readShape(text); err != nil {
		return s, 0, fmt.Errorf("%s: %w", filepath.Join(dir, "config.json"), err)
	}
	if random {
		return s, 0, nil
	}
	files, err := sdk.WeightFiles(dir)
	for _, file := range files {
		size, err := inspectSafetensors(file)
		if err != nil {
			return s, 0, err
		}
		bytes += size
	}
	return s, bytes, err
}

// inspectSafetensors wants a file to be as long as its header says, and returns
// the size of its tensors.
func inspectSafetensors(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	damaged := func(format string, args ...any) (int64, error) {
		return 0, fmt.Errorf("%s is damaged or not wholly copied: %s", path, fmt.Sprintf(format, args...))
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	var length uint64
	if err := binary.Read(f, binary.LittleEndian, &length); err != nil {
		return damaged("it has %d bytes", info.Size())
	}
	if length > mostHeader || int64(length) > info.Size()-8 {
		return damaged("its header claims %d bytes and the file has %d", length, info.Size())
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(f, header); err != nil {
		return damaged("%v", err)
	}
	var tensors map[string]struct {
		Offsets [2]int64 `json:"data_offsets"`
	}
	var content map[string]json.RawMessage
	if err := json.Unmarshal(header, &content); err != nil {
		return damaged("its header cannot be read: %v", err)
	}
	delete(content, "__metadata__")
	rest, err := json.Marshal(content)
	if err == nil {
		err = json.Unmarshal(rest, &tensors)
	}
	if err != nil {
		return damaged("its header cannot be read: %v", err)
	}
	var end int64
	for _, t := range tensors {
		end = max(end, t.Offsets[1])
	}
	if want := 8 + int64(length) + end; info.Size() != want {
		return damaged("it has %d bytes and its header describes %d", info.Size(), want)
	}
	return end, nil
}
