package openaiserver

import (
	"regexp"
	"slices"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// A bar that draws itself again and again is told of where it moved.
func TestStagesTellOfABarWhereItMoved(t *testing.T) {
	var told []float64
	s := newStages([]Stage{{
		Kind:  sdk.StageCapture,
		Begin: regexp.MustCompile(`graphs: 0%`), End: regexp.MustCompile(`finished`), Progress: regexp.MustCompile(`graphs: (\d+)%`),
	}}, sdk.NewProgress(func(e sdk.StageEvent) {
		if e.Moment == sdk.StageProgress {
			told = append(told, e.Fraction)
		}
	}))
	for range 2 { // of another bar the same percentage is told again
		for _, line := range []string{"graphs: 0%", "graphs: 0%", "graphs: 50%", "graphs: 50%", "graphs: 50%", "graphs: 100%", "graphs: 100%", "finished"} {
			s.tell(line)
		}
	}
	if want := []float64{0.5, 1, 0.5, 1}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
