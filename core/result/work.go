package result

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/llenergymeasure/llem/sdk"
)

// workRow is one request as it was prepared.
type workRow struct {
	Index           uint32   `parquet:"index,delta"`
	Tokens          []uint32 `parquet:"tokens,list"`
	MaxTokens       uint32   `parquet:"max_tokens"`
	ArrivalOffsetNs int64    `parquet:"arrival_offset_ns,delta"`
}

// WriteWork keeps prepared requests as work/<hash>.parquet. hash names the
// content, so work that is there already is not written again.
func (d *Dir) WriteWork(hash string, items []sdk.WorkItem) error {
	path, err := d.workPath(hash)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for stored work: %w", err)
	}
	temp, err := os.MkdirTemp(filepath.Join(d.path, workDir), ".part-")
	if err != nil {
		return writeError(path, err)
	}
	defer os.RemoveAll(temp) //nolint:errcheck // what is left is hidden and never read
	s, err := createSeries[workRow](filepath.Join(temp, "work.parquet"))
	if err != nil {
		return err
	}
	for i, item := range items {
		if err := s.add(workRow{Index: uint32(i), Tokens: item.TokenIDs, MaxTokens: item.MaxTokens, ArrivalOffsetNs: item.ArrivalOffsetNs}); err != nil {
			return s.close() // it returns err
		}
	}
	if err := s.close(); err != nil {
		return err
	}
	if err := os.Rename(s.path, path); err != nil {
		return writeError(path, err)
	}
	return syncDir(filepath.Dir(path))
}

// ReadWork reads stored work back.
func (d *Dir) ReadWork(hash string) ([]sdk.WorkItem, error) {
	path, err := d.workPath(hash)
	if err != nil {
		return nil, err
	}
	var items []sdk.WorkItem
	err = readSeries(path, func(row workRow) error {
		if int(row.Index) != len(items) {
			return fmt.Errorf("row %d has index %d", len(items), row.Index)
		}
		items = append(items, sdk.WorkItem{TokenIDs: row.Tokens, MaxTokens: row.MaxTokens, ArrivalOffsetNs: row.ArrivalOffsetNs})
		return nil
	})
	return items, err
}

func (d *Dir) workPath(hash string) (string, error) {
	name := slug(hash, "")
	if name == "" || name[0] == '.' {
		return "", fmt.Errorf("stored work: %q is no hash", hash)
	}
	return filepath.Join(d.path, workDir, name+".parquet"), nil
}
