package result

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/core/device"
)

// Device is the state of one GPU of the deployment over a trial.
type Device struct {
	Facts device.Facts `json:"facts"`
	// Before Load, and after the Run with the engine still there.
	Before *device.Snapshot `json:"before,omitempty"`
	After  *device.Snapshot `json:"after,omitempty"`
	// Readings during the Run, about one a second.
	Readings *Readings `json:"readings,omitempty"`
}

// Readings are columns, one line each in the file. A column that nobody could
// read is nil.
type Readings struct {
	MonoNs         Column `json:"mono_ns"`
	TemperatureC   Column `json:"temperature_c,omitempty"`
	SMClockMHz     Column `json:"sm_clock_mhz,omitempty"`
	MemoryClockMHz Column `json:"memory_clock_mhz,omitempty"`
	UtilisationPct Column `json:"utilisation_pct,omitempty"`
	LimitMilliW    Column `json:"limit_mw,omitempty"`
	Reasons        Column `json:"reasons,omitempty"`
}

// NewReadings turns rows into columns; nil for none.
func NewReadings(rows []device.Reading) *Readings {
	if len(rows) == 0 {
		return nil
	}
	r := &Readings{}
	for i, row := range rows {
		reasons := (*int64)(nil)
		if row.Reasons != nil {
			bits := int64(*row.Reasons)
			reasons = &bits
		}
		for _, c := range []struct {
			to    *Column
			value *int64
		}{
			{&r.MonoNs, &row.MonoNs}, {&r.TemperatureC, row.TemperatureC}, {&r.SMClockMHz, row.SMClockMHz}, {&r.MemoryClockMHz, row.MemoryClockMHz},
			{&r.UtilisationPct, row.UtilisationPct}, {&r.LimitMilliW, row.LimitMilliW}, {&r.Reasons, reasons},
		} {
			if c.value == nil && *c.to == nil {
				continue
			}
			for len(*c.to) < i { // nobody knew it so far
				*c.to = append(*c.to, nil)
			}
			*c.to = append(*c.to, c.value)
		}
	}
	return r
}

// Rows turns the columns back.
func (r *Readings) Rows() []device.Reading {
	if r == nil {
		return nil
	}
	at := func(c Column, i int) *int64 {
		if i >= len(c) {
			return nil
		}
		return c[i]
	}
	var rows []device.Reading
	for i, ns := range r.MonoNs {
		if ns == nil {
			continue
		}
		row := device.Reading{MonoNs: *ns, TemperatureC: at(r.TemperatureC, i), SMClockMHz: at(r.SMClockMHz, i),
			MemoryClockMHz: at(r.MemoryClockMHz, i), UtilisationPct: at(r.UtilisationPct, i), LimitMilliW: at(r.LimitMilliW, i)}
		if bits := at(r.Reasons, i); bits != nil {
			reasons := uint64(*bits)
			row.Reasons = &reasons
		}
		rows = append(rows, row)
	}
	return rows
}

// Column is a list of integers as one text: "1980*58 1965 - 1980" means 58 times
// 1980, once 1965, once unknown, once 1980.
type Column []*int64

// mostColumn bounds what a damaged file can make of one column: a day at 10 Hz.
const mostColumn = 1 << 20

// MarshalText writes the column.
func (c Column) MarshalText() ([]byte, error) {
	var words []string
	for i := 0; i < len(c); {
		n := 1
		for i+n < len(c) && same(c[i], c[i+n]) {
			n++
		}
		word := "-"
		if c[i] != nil {
			word = strconv.FormatInt(*c[i], 10)
		}
		if n > 1 {
			word += "*" + strconv.Itoa(n)
		}
		words, i = append(words, word), i+n
	}
	return []byte(strings.Join(words, " ")), nil
}

func same(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// UnmarshalText reads the column.
func (c *Column) UnmarshalText(text []byte) error {
	*c = Column{}
	for word := range strings.FieldsSeq(string(text)) {
		value, times, repeated := strings.Cut(word, "*")
		n := 1
		if repeated {
			var err error
			if n, err = strconv.Atoi(times); err != nil || n < 1 {
				return fmt.Errorf("column of readings: %.40q is no number of repeats", word)
			}
		}
		if n > mostColumn-len(*c) {
			return fmt.Errorf("column of readings: more than %d values", mostColumn)
		}
		var v *int64
		if value != "-" {
			number, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return fmt.Errorf("column of readings: %.40q is no whole number", word)
			}
			v = &number
		}
		for range n {
			*c = append(*c, v)
		}
	}
	return nil
}
