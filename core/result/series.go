package result

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// rowsPerGroup bounds what a writer holds in memory, whatever the length of
// the series.
const rowsPerGroup = 128 << 10

// rowsAtOnce are converted between forms at a time.
const rowsAtOnce = 1024

// codec compresses every column. The fastest level needs a fifth of the memory
// of the usual one, which would be a large part of what llem takes in all.
var codec = &zstd.Codec{Level: zstd.SpeedFastest}

// series writes one Parquet file of rows T.
type series[T any] struct {
	path   string
	file   *os.File
	writer *parquet.GenericWriter[T]
	buffer []T
	broken error // the first failure; nothing is written after it
}

// createSeries makes a file that must not be there yet.
func createSeries[T any](path string) (*series[T], error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, writeError(path, err)
	}
	w := parquet.NewGenericWriter[T](f, parquet.Compression(codec), parquet.MaxRowsPerRowGroup(rowsPerGroup), parquet.CreatedBy("llem", "1", ""))
	return &series[T]{path: path, file: f, writer: w, buffer: make([]T, 0, rowsAtOnce)}, nil
}

func (s *series[T]) add(row T) error {
	s.buffer = append(s.buffer, row)
	if len(s.buffer) == cap(s.buffer) {
		return s.flush()
	}
	return nil
}

// addAll writes rows that the caller keeps.
func (s *series[T]) addAll(rows []T) error {
	for len(rows) > 0 {
		n := min(len(rows), cap(s.buffer)-len(s.buffer))
		s.buffer = append(s.buffer, rows[:n]...)
		rows = rows[n:]
		if len(s.buffer) == cap(s.buffer) {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *series[T]) flush() error {
	if s.broken == nil {
		if _, err := s.writer.Write(s.buffer); err != nil {
			s.broken = writeError(s.path, err)
		}
	}
	clear(s.buffer)
	s.buffer = s.buffer[:0]
	return s.broken
}

// close makes the file whole and durable. After a failure it only frees the
// file and returns that failure.
func (s *series[T]) close() error {
	if err := s.flush(); err != nil {
		return errors.Join(err, s.file.Close())
	}
	err := s.writer.Close()
	if syncErr := s.file.Sync(); err == nil {
		err = syncErr
	}
	if err := errors.Join(err, s.file.Close()); err != nil {
		return writeError(s.path, err)
	}
	return nil
}

// seriesFile is a Parquet file of rows T being read.
type seriesFile[T any] struct {
	path string
	f    *os.File
	file *parquet.File
}

// openSeries opens a file that must have the columns of T. A damaged file is an
// error, whatever the decoder makes of it.
func openSeries[T any](path string) (s *seriesFile[T], err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read series: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read series %s: the file is damaged: %v", path, p)
		}
		if err != nil {
			s, err = nil, errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read series: %w", err)
	}
	if err := checkFooter(f, info.Size()); err != nil {
		return nil, fmt.Errorf("read series %s: %w", path, err)
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("read series %s: %w", path, err)
	}
	want := parquet.SchemaOf(new(T))
	for _, column := range want.Columns() {
		if _, ok := file.Schema().Lookup(column...); !ok {
			return nil, fmt.Errorf("read series %s: it has no column %v", path, column)
		}
	}
	return &seriesFile[T]{path, f, file}, nil
}

// each calls on with every row in order, without the groups of rows that wanted
// refuses; nil wants all. Only rowsAtOnce are held.
func (s *seriesFile[T]) each(wanted func(parquet.RowGroup) (bool, error), on func(T) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read series %s: the file is damaged: %v", s.path, p)
		}
	}()
	for _, group := range s.file.RowGroups() {
		if wanted != nil {
			yes, err := wanted(group)
			if err != nil {
				return fmt.Errorf("read series %s: %w", s.path, err)
			}
			if !yes {
				continue
			}
		}
		if err := eachRow(group, on); err != nil {
			return fmt.Errorf("read series %s: %w", s.path, err)
		}
	}
	return nil
}

func eachRow[T any](group parquet.RowGroup, on func(T) error) error {
	rows := parquet.NewGenericRowGroupReader[T](group)
	defer rows.Close() //nolint:errcheck // it was only read
	for {
		// A fresh buffer each time: rows with lists keep pointers into it.
		buffer := make([]T, rowsAtOnce)
		n, err := rows.Read(buffer)
		for _, row := range buffer[:n] {
			if err := on(row); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readSeries calls on with every row of a file in order.
func readSeries[T any](path string, on func(T) error) error {
	s, err := openSeries[T](path)
	if err != nil {
		return err
	}
	defer s.f.Close() //nolint:errcheck // it was only read
	return s.each(nil, on)
}

// checkFooter refuses a file that does not end as Parquet does. The decoder
// would believe any length of the footer and allocate it.
func checkFooter(f io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < int64(len(tail)) {
		return errors.New("the file is cut off")
	}
	if _, err := f.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return fmt.Errorf("its end: %w", err)
	}
	if string(tail[4:]) != "PAR1" || int64(binary.LittleEndian.Uint32(tail[:4])) > size-int64(len(tail)) {
		return errors.New("the file is cut off or no Parquet file")
	}
	return nil
}
