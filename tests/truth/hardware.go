package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// storedFigure is a figure that was taken on real hardware and is kept in a file.
type storedFigure struct {
	Target string   `json:"target"`
	Name   string   `json:"name"`
	Value  float64  `json:"value"`
	Format string   `json:"format"` // such as "%.2f %%"
	Lo     *float64 `json:"lo,omitempty"`
	Hi     *float64 `json:"hi,omitempty"`
	Note   string   `json:"note,omitempty"`
}

// hardware shows what was found on a real GPU, which this program cannot repeat.
func hardware(effort) (report, error) {
	const path = "docs/accuracy/gpu.json"
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return report{notes: []string{"Run on hardware: not run here (" + path + " would hold the figures)."}}, nil
	}
	if err != nil {
		return report{}, fmt.Errorf("read the figures of the real GPU: %w", err)
	}
	var stored struct {
		Notes   []string       `json:"notes"`
		Figures []storedFigure `json:"figures"`
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		return report{}, fmt.Errorf("read %s: %w", path, err)
	}
	out := report{notes: stored.Notes}
	for _, s := range stored.Figures {
		f := figure{target: s.Target, name: s.Name, value: s.Value, format: s.Format, note: s.Note}
		switch {
		case s.Lo != nil && s.Hi != nil:
			f = f.within(*s.Lo, *s.Hi)
		case s.Lo != nil:
			f = f.atLeast(*s.Lo)
		case s.Hi != nil:
			f = f.atMost(*s.Hi)
		}
		out.figures = append(out.figures, f)
	}
	return out, nil
}
