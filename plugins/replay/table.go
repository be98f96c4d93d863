package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/llenergymeasure/llem/sdk"
)

// row is one sample of a file; domain is an index into the file's recordings.
type row struct {
	domain int32
	epoch  uint32
	ns     int64
	value  int64
}

// blockRows are read at once. A file is never held as a whole.
const blockRows = 8192

// table is a file of samples. Blocks have blockRows rows, the last one fewer;
// a block behind the end is empty.
type table interface {
	recordings() []recording
	block(i int) ([]row, error)
	io.Closer
}

// Names in a trial's directory.
const (
	trialFile = "trial.json"
	powerFile = "power.parquet"
)

// openTable opens a recording by what is in it, not by its name.
func openTable(path string) (_ table, err error) {
	if !filepath.IsAbs(path) {
		return nil, bad(path, errors.New("the path is relative, and a plugin runs in a directory of its own"), "write the path from / on")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, bad(path, err, "name a trial's directory, its power.parquet or a CSV file")
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(path, trialFile)); err != nil {
			return nil, bad(path, fmt.Errorf("it is no trial's directory: %w", err), "name one of DIR/runs/; what was never finished is played by naming its power.parquet itself")
		}
		path = filepath.Join(path, powerFile)
	}
	// A pipe would be waited for, and cannot be read twice.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, bad(path, fmt.Errorf("it is no file that can be read from end to end more than once (%v)", info.Mode().Type()), "copy it into a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, bad(path, err, "the trial has no samples: choose one of DIR/runs/")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	var magic [4]byte
	n, err := io.ReadFull(f, magic[:])
	var t table
	switch {
	case n == 0:
		return nil, bad(path, errors.New("it is empty"), "record again, or copy the file again")
	case bytes.Equal(magic[:n], []byte("PAR1")):
		t, err = openParquet(f)
		if err != nil {
			return nil, bad(path, err, "copy it again from where it was recorded; only a power.parquet of llem describes its domains")
		}
	default:
		t, err = openCSV(f)
		if err != nil {
			return nil, bad(path, err, "see `replay` in docs/sources.md for the format")
		}
	}
	if err := checkAll(t.recordings()); err != nil {
		return nil, bad(path, err, "see `replay` in docs/sources.md for the format")
	}
	if info, err = f.Stat(); err != nil {
		return nil, bad(path, err, "copy it again")
	}
	return &cached{table: t, file: f, asOpened: info}, nil
}

// bad is an error about the file that the study named.
func bad(path string, err error, advice string) error {
	code := sdk.InvalidRequest
	if errors.Is(err, os.ErrPermission) {
		code = sdk.Permission
	}
	return &sdk.Error{Code: code, KeyPath: "path", Message: fmt.Sprintf("read the recording %s: %v", path, err), Advice: advice}
}

// cached keeps the last blocks: domains that are recorded side by side are
// read side by side. A file that was written to since it was opened is not read on.
type cached struct {
	table
	file     *os.File
	asOpened os.FileInfo
	kept     []keptBlock // the latest first
}

type keptBlock struct {
	number int
	rows   []row
}

const mostKept = 8

func (c *cached) block(i int) ([]row, error) {
	for k, b := range c.kept {
		if b.number == i {
			copy(c.kept[1:k+1], c.kept[:k])
			c.kept[0] = b
			return b.rows, nil
		}
	}
	if now, err := c.file.Stat(); err != nil || now.Size() != c.asOpened.Size() || !now.ModTime().Equal(c.asOpened.ModTime()) {
		return nil, errors.Join(errors.New("it was written to since it was opened"), err)
	}
	rows, err := c.table.block(i)
	if err != nil {
		return nil, err
	}
	if len(c.kept) < mostKept {
		c.kept = append(c.kept, keptBlock{})
	}
	copy(c.kept[1:], c.kept)
	c.kept[0] = keptBlock{i, rows}
	return rows, nil
}
