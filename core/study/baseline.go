package study

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// BaselineID is the ID of the cell that compare.baseline names, by its label (an
// experiment's is its name) or its ID; "" if the study names none. A name that is
// no cell's, or that of several, is a Problem.
func (s *Study) BaselineID(cells []Cell) (string, *Problem) {
	const key = "compare.baseline"
	name := s.Compare.Baseline
	if name == "" {
		return "", nil
	}
	var ids, labels []string
	for _, c := range cells {
		if c.Probe { // measured for others, and compared with nothing
			continue
		}
		if c.ID == name {
			return c.ID, nil
		}
		if c.Label == name {
			ids = append(ids, c.ID)
		}
		labels = append(labels, c.Label)
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		p := s.ProblemAt(key, fmt.Sprintf("%q is no cell of this study", shorten(name)), baselineHint(name, labels))
		return "", &p
	}
	p := s.ProblemAt(key, fmt.Sprintf("%q is the label of %d cells", shorten(name), len(ids)), "name one by its id: "+strings.Join(ids, ", "))
	return "", &p
}

// baselineHint names the cell that was probably meant, or some that there are.
func baselineHint(name string, labels []string) string {
	if near := sdk.Nearest(name, labels); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	const most = 5
	known := slices.Clone(labels)
	if len(known) > most {
		known = append(known[:most], fmt.Sprintf("and %d more", len(labels)-most))
	}
	return "its cells: " + strings.Join(known, ", ")
}
