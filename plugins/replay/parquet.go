package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

// powerRow is a row of power.parquet.
type powerRow struct {
	Domain string `parquet:"domain"`
	MonoNs int64  `parquet:"mono_ns"`
	Value  int64  `parquet:"value"`
	Epoch  uint32 `parquet:"epoch"`
}

// recordingsKey is the file's note that describes its domains.
const recordingsKey = "llem.recordings"

type parquetTable struct {
	file   *os.File
	rows   *parquet.GenericReader[powerRow]
	notes  []recording
	number map[string]int32
	next   int64 // row at which rows stands
	buffer []powerRow
}

func openParquet(f *os.File) (t *parquetTable, err error) {
	defer damaged(&err)
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFooter(f, info.Size()); err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	want := parquet.SchemaOf(powerRow{})
	for _, column := range want.Columns() {
		leaf, ok := file.Schema().Lookup(column...)
		wanted, _ := want.Lookup(column...)
		if !ok || leaf.Node.Type().Kind() != wanted.Node.Type().Kind() {
			return nil, fmt.Errorf("it has no column %s of type %s, so it is no power.parquet", column[0], wanted.Node.Type())
		}
	}
	text, ok := file.Lookup(recordingsKey)
	if !ok {
		return nil, fmt.Errorf("it does not describe its domains (%s), so its samples have no unit", recordingsKey)
	}
	t = &parquetTable{file: f, number: map[string]int32{}, buffer: make([]powerRow, blockRows)}
	if err := json.Unmarshal([]byte(text), &t.notes); err != nil {
		return nil, fmt.Errorf("its description of the domains is damaged: %w", err)
	}
	for i, r := range t.notes {
		t.number[r.Domain.ID] = int32(i)
	}
	t.rows = parquet.NewGenericReader[powerRow](file)
	return t, nil
}

// checkFooter refuses a file that does not end as Parquet does. The decoder
// would believe any length of the footer and allocate it.
func checkFooter(f io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < int64(len(tail)) {
		return errors.New("it is cut off")
	}
	if _, err := f.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return err
	}
	if string(tail[4:]) != "PAR1" || int64(binary.LittleEndian.Uint32(tail[:4])) > size-int64(len(tail)) {
		return errors.New("it is cut off")
	}
	return nil
}

// damaged makes an error of whatever the decoder makes of a damaged file.
func damaged(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("it is damaged: %v", p)
	}
}

func (t *parquetTable) recordings() []recording { return t.notes }

func (t *parquetTable) block(i int) (rows []row, err error) {
	defer damaged(&err)
	first := int64(i) * blockRows
	if first >= t.rows.NumRows() {
		return nil, nil
	}
	if first != t.next {
		if err := t.rows.SeekToRow(first); err != nil {
			return nil, err
		}
	}
	n := 0
	for n < blockRows {
		got, err := t.rows.Read(t.buffer[n:])
		n += got
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	t.next = first + int64(n)
	rows = make([]row, n)
	for k, r := range t.buffer[:n] {
		number, ok := t.number[r.Domain]
		if !ok {
			return nil, fmt.Errorf("row %d: samples of %q are not described", first+int64(k)+1, r.Domain)
		}
		rows[k] = row{domain: number, epoch: r.Epoch, ns: r.MonoNs, value: r.Value}
	}
	return rows, nil
}

func (t *parquetTable) Close() error { return errors.Join(t.rows.Close(), t.file.Close()) }
