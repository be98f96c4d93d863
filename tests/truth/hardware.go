package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// storedFigure is a figure that was taken on real hardware and is kept in a file.
type storedFigure struct {
	Target string   `json:"target"`
	Name   string   `json:"name"`
	Value  *float64 `json:"value"`  // null: not measured yet
	Format string   `json:"format"` // such as "%.2f %%"
	Lo     *float64 `json:"lo,omitempty"`
	Hi     *float64 `json:"hi,omitempty"`
	// Interval of the value at 95 %, if it has one.
	Interval *[2]float64 `json:"interval,omitempty"`
	Note     string      `json:"note,omitempty"`
}

// hardware shows what was found on a real GPU, which this program cannot repeat.
func hardware(effort) (report, error) { return stored("docs/accuracy/gpu.json") }

// stored reads the figures of a file.
func stored(path string) (report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return report{}, fmt.Errorf("read the figures of the real GPU (tests/gpu/run.sh makes what they come from): %w", err)
	}
	var file struct {
		Notes   []string       `json:"notes"`
		Figures []storedFigure `json:"figures"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return report{}, fmt.Errorf("read %s: %w", path, err)
	}
	out := report{notes: file.Notes}
	wanted := map[string]bool{"T3": true, "T5": true}
	for _, s := range file.Figures {
		f := figure{target: s.Target, name: s.Name, format: s.Format, interval: s.Interval, note: s.Note, unmeasured: s.Value == nil}
		if s.Value != nil {
			f.value = *s.Value
		}
		switch {
		case s.Lo != nil && s.Hi != nil:
			f = f.within(*s.Lo, *s.Hi)
		case s.Lo != nil:
			f = f.atLeast(*s.Lo)
		case s.Hi != nil:
			f = f.atMost(*s.Hi)
		}
		if f.aimed() && !f.unmeasured {
			delete(wanted, f.target)
		}
		out.figures = append(out.figures, f)
	}
	if len(wanted) > 0 {
		return report{}, fmt.Errorf("%s has no figure with limits for %v", path, slices.Sorted(maps.Keys(wanted)))
	}
	return out, nil
}
