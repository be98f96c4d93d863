package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
)

// csvTable is text: lines "# {...}" that describe the domains, one line of
// column names, then a sample in each line.
//
//	# {"domain": {"id": "gpu-0", "kind": "gpu", "reading": "instant", "unit_num": 1, "unit_den": 1000, "update_ns": 20000000}}
//	stamp_ns,domain,value
//	1000000000,gpu-0,123744
type csvTable struct {
	file    *os.File
	notes   []recording
	number  map[string]int32
	columns int // 3, or 4 with the epoch
	starts  []start
	end     bool // starts has all blocks
	reader  *bufio.Reader
}

// start is where a block begins.
type start struct {
	offset int64
	line   int
}

// longestLine bounds what is read of a file that has no lines.
const longestLine = 1 << 20

func openCSV(f *os.File) (*csvTable, error) {
	t := &csvTable{file: f, number: map[string]int32{}, reader: bufio.NewReaderSize(nil, longestLine)}
	r := t.from(start{})
	for {
		line, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("it has no line stamp_ns,domain,value")
		case err != nil:
			return nil, err
		}
		if note, ok := bytes.CutPrefix(line, []byte("#")); ok {
			if err := t.describe(note); err != nil {
				return nil, fmt.Errorf("line %d: %w", r.at.line, err)
			}
			continue
		}
		switch string(line) {
		case "stamp_ns,domain,value":
			t.columns = 3
		case "stamp_ns,domain,value,epoch":
			t.columns = 4
		default:
			return nil, fmt.Errorf("line %d: %.60q is not the line of column names stamp_ns,domain,value or stamp_ns,domain,value,epoch", r.at.line, line)
		}
		break
	}
	if len(t.notes) == 0 {
		return nil, errors.New(`no line # {"domain": ...} describes a domain, so its samples have no unit`)
	}
	t.starts = []start{r.at}
	return t, nil
}

// describe reads one line of the head. A key that nobody knows is a typing
// error that would change what the joules mean.
func (t *csvTable) describe(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 || bytes.TrimSpace(text)[0] != '{' {
		return nil // words for people
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var note recording
	if err := d.Decode(&note); err != nil {
		return fmt.Errorf("the description of a domain cannot be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the description of a domain")
	}
	t.number[note.Domain.ID] = int32(len(t.notes))
	t.notes = append(t.notes, note)
	return nil
}

func (t *csvTable) recordings() []recording { return t.notes }

// block reads the blocks in order the first time, and learns where each begins.
func (t *csvTable) block(i int) ([]row, error) {
	for i >= len(t.starts) && !t.end {
		if _, err := t.block(len(t.starts) - 1); err != nil {
			return nil, err
		}
	}
	if i >= len(t.starts) {
		return nil, nil
	}
	r := t.from(t.starts[i])
	rows := make([]row, 0, blockRows)
	for len(rows) < blockRows {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			t.end = true
			return rows, nil
		}
		if err == nil && len(line) > 0 {
			var s row
			if s, err = t.parse(line); err == nil {
				rows = append(rows, s)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", r.at.line, err)
		}
	}
	if i == len(t.starts)-1 {
		t.starts = append(t.starts, r.at)
	}
	return rows, nil
}

func (t *csvTable) parse(line []byte) (row, error) {
	var fields [5][]byte
	n := 0
	for rest, more := line, true; more && n < len(fields); n++ {
		fields[n], rest, more = bytes.Cut(rest, []byte(","))
	}
	if n != t.columns {
		return row{}, fmt.Errorf("%.60q has not the %d columns that the head names", line, t.columns)
	}
	var s row
	var err error
	if s.ns, err = strconv.ParseInt(string(fields[0]), 10, 64); err != nil {
		return row{}, fmt.Errorf("stamp_ns %.40q is no whole number of nanoseconds", fields[0])
	}
	if s.value, err = strconv.ParseInt(string(fields[2]), 10, 64); err != nil {
		return row{}, fmt.Errorf("value %.40q is no whole number of counts; leave out what the sensor did not give, and choose unit_num and unit_den so that counts are whole", fields[2])
	}
	if t.columns == 4 {
		epoch, err := strconv.ParseUint(string(fields[3]), 10, 32)
		if err != nil {
			return row{}, fmt.Errorf("epoch %.40q is no whole number from 0 to 2^32-1", fields[3])
		}
		s.epoch = uint32(epoch)
	}
	var known bool
	if s.domain, known = t.number[string(fields[1])]; !known {
		return row{}, fmt.Errorf("the domain %.60q is not described by a line # {...}", fields[1])
	}
	return s, nil
}

func (t *csvTable) Close() error { return t.file.Close() }

// lines reads line by line and knows where it stands.
type lines struct {
	r  *bufio.Reader
	at start // behind the last line
}

func (t *csvTable) from(at start) *lines {
	t.reader.Reset(io.NewSectionReader(t.file, at.offset, math.MaxInt64-at.offset))
	return &lines{t.reader, at}
}

func (l *lines) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("line %d is longer than %d bytes, so this is no such CSV", l.at.line+1, longestLine)
	}
	if err != nil && len(line) == 0 {
		return nil, err
	}
	l.at.offset += int64(len(line))
	l.at.line++
	return bytes.TrimRight(line, "\r\n"), nil
}
