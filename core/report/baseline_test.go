package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/result"
)

// The rows stand by J/token; what they are compared with is the study's choice.
func TestBaseline(t *testing.T) {
	order := []string{"gone", "f16", "q8_0"}
	for _, c := range []struct {
		o        Options
		baseline string
		by       BaselineBy
	}{
		{Options{}, "f16", BaselineFirstByName},
		{Options{Order: []string{"other"}}, "f16", BaselineFirstByName},
		{Options{Order: []string{"q8_0", "f16"}}, "q8_0", BaselineFirst},
		{Options{Order: []string{"f16", "q8_0"}}, "f16", BaselineFirst},
		{Options{Order: order}, "f16", BaselineFirstOfGroup},
		{Options{Order: order, Baseline: "q8_0"}, "q8_0", BaselineDeclared},
		{Options{Order: order, Baseline: "gone"}, "f16", BaselineFirstOfGroup}, // it is in another group, or failed
	} {
		s := Summarize(quickstart(), nil, c.o)
		g := s.Groups[0]
		if len(g.Comparisons) != 1 || s.Cells[0].Label != "q8_0" {
			t.Fatalf("%+v: %+v", c.o, g)
		}
		found := g.Comparisons[0]
		if found.Baseline != c.baseline || g.BaselineBy != c.by || found.Candidate == found.Baseline || found.N != 3 || !found.Resolved {
			t.Errorf("%+v: %+v by %q", c.o, found, g.BaselineBy)
		}
		if q8IsBetter := *found.CandidateBetter == (found.Candidate == "q8_0"); !q8IsBetter || (found.Ratio < 1) != *found.CandidateBetter {
			t.Errorf("%+v: %+v", c.o, found)
		}
		if text := printed(t, s, TableOptions{}); !strings.Contains(text, "J/token as a ratio to "+c.baseline+" ("+c.by.text()+"; ") || strings.Contains(text, "optimistic") {
			t.Errorf("%+v:\n%s", c.o, text)
		}
	}
}

// A baseline that was asked for and cannot be had is not replaced in silence.
func TestABaselineThatIsNotRanked(t *testing.T) {
	var trials []result.Trial
	for block := range 3 {
		d := 0.001 * float64(block)
		excluded := aTrial("c", block, 0.5)
		excluded.Ranked = false
		trials = append(trials, aTrial("a", block, 0.5+d), aTrial("b", block, 0.6-d), excluded)
	}
	s := Summarize(trials, nil, Options{Order: []string{"a", "b", "c"}, Baseline: "c"})
	if g := s.Groups[0]; g.BaselineBy != BaselineFirst || g.Comparisons[0].Baseline != "a" {
		t.Errorf("%+v", g)
	}
	if text := printed(t, s, TableOptions{}); !strings.Contains(text, "baseline_not_ranked") || !strings.Contains(text, "a stands in for it") {
		t.Errorf("it is not said:\n%s", text)
	}
}

// Equal cells come out different in 5 % of studies, however many there are: the
// baseline must not be chosen by what was measured.
func TestEqualCellsAreNotToldApart(t *testing.T) {
	const studies, arms, blocks = 1500, 8, 5
	alarms := 0
	for i := range studies {
		r := rand.New(rand.NewPCG(uint64(i), 9))
		var trials []result.Trial
		var order []string
		for k := range arms {
			order = append(order, fmt.Sprint("cell", k))
			for block := range blocks {
				trials = append(trials, aTrial(order[k], block, math.Exp(0.01*r.NormFloat64())))
			}
		}
		s := Summarize(trials, nil, Options{Order: order})
		for _, c := range s.Groups[0].Comparisons {
			if c.Resolved {
				alarms++
				break
			}
		}
	}
	// By Holm it is at most 5 %; three standard errors are 1.7 points. Against the
	// best cell it is more than 10 %.
	if share := 100 * float64(alarms) / studies; share > 6.7 {
		t.Errorf("%.1f %% of %d studies of %d equal cells show a difference", share, studies, arms)
	}
}

func TestBestOfManyIsOptimistic(t *testing.T) {
	var trials []result.Trial
	for block, d := range []float64{0.002, -0.001, 0.003} {
		trials = append(trials, aTrial("a", block, 0.5+d), aTrial("b", block, 0.4-d), aTrial("c", block, 0.6+d/2))
	}
	if text := printed(t, Summarize(trials, nil, Options{}), TableOptions{Terminal: true}); !strings.Contains(text, "\n  b is the lowest of 3 cells, partly by luck (the best of many is optimistic): measure it again\n") {
		t.Error(text)
	}
}
