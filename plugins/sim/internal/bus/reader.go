package bus

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// Reader adds up the spans of all writers. It belongs to one goroutine.
type Reader struct {
	file  *os.File
	spans []span
}

type span struct {
	fromNs, toNs int64
	milliwatts   int64
}

// NewReader opens the bus, and makes it if it is not there. Spans that were
// booked before count, too.
func NewReader(path string) (*Reader, error) {
	file, err := open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return &Reader{file: file}, nil
}

// Advance reads what is new and returns the stamp until which nothing can be
// added any more.
func (r *Reader) Advance() (settledNs int64, err error) {
	var text []byte
	err = locked(r.file, func() error {
		settledNs = sdk.MonoNow() - MostLateNs
		var err error
		text, err = io.ReadAll(r.file)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read the bus: %w", err)
	}
	for line := range bytes.Lines(text) {
		s, ok := parse(line)
		if !ok {
			return 0, fmt.Errorf("read the bus %s: the line %q is not `begin_ns end_ns mW`; remove the file or name another", r.file.Name(), line)
		}
		r.spans = append(r.spans, s)
	}
	return settledNs, nil
}

func parse(line []byte) (span, bool) {
	fields := strings.Fields(string(line))
	if len(fields) != 3 || !bytes.HasSuffix(line, []byte("\n")) {
		return span{}, false
	}
	var numbers [3]int64
	for i, field := range fields {
		var err error
		if numbers[i], err = strconv.ParseInt(field, 10, 64); err != nil {
			return span{}, false
		}
	}
	return span{fromNs: numbers[0], toNs: numbers[1], milliwatts: numbers[2]}, true
}

// At returns the power of all spans at a stamp, in W.
func (r *Reader) At(ns int64) float64 {
	sum := int64(0)
	for _, s := range r.spans {
		if s.fromNs <= ns && ns < s.toNs {
			sum += s.milliwatts
		}
	}
	return float64(sum) / 1e3
}

// EnergyJ returns the energy of all spans between two stamps, in J.
func (r *Reader) EnergyJ(fromNs, toNs int64) float64 {
	sum := 0.0
	for _, s := range r.spans {
		if from, to := max(s.fromNs, fromNs), min(s.toNs, toNs); to > from {
			sum += float64(s.milliwatts) * float64(to-from)
		}
	}
	return sum * 1e-12
}

// Forget drops the spans that ended at or before a stamp.
func (r *Reader) Forget(ns int64) {
	r.spans = slices.DeleteFunc(r.spans, func(s span) bool { return s.toNs <= ns })
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }
