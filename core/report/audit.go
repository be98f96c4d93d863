package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/core/result"
)

// Audit is how a headline domain's joules compare with those of a second reading
// of the same devices, over the Runs of a cell: unscaled, and never applied. Both
// sit behind one sensor, so it tells of the sampling and not of the gain.
type Audit struct {
	Domain string `json:"domain"`
	Check  string `json:"check"`
	// Runs that have a ratio, and those that have none.
	Runs    int `json:"runs"`
	Without int `json:"without,omitempty"`
	// LeastRatio and MostRatio of the Runs, domain by check; nil without any.
	LeastRatio *float64 `json:"least_ratio"`
	MostRatio  *float64 `json:"most_ratio"`
}

// audits sums up the longest audit of each pair in each trial: it spans the Run.
func audits(trials []result.Trial) []Audit {
	var out []Audit
	for _, t := range trials {
		pairs := slices.Clone(t.Audit)
		slices.SortStableFunc(pairs, func(a, b gate.Audit) int { return cmp.Compare(b.ToNs-b.FromNs, a.ToNs-a.FromNs) })
		seen := map[[2]string]bool{}
		for _, a := range pairs {
			pair := [2]string{a.Domain, a.Check}
			if seen[pair] {
				continue
			}
			seen[pair] = true
			i := slices.IndexFunc(out, func(o Audit) bool { return o.Domain == a.Domain && o.Check == a.Check })
			if i < 0 {
				i = len(out)
				out = append(out, Audit{Domain: a.Domain, Check: a.Check})
			}
			o := &out[i]
			if a.Ratio == nil {
				o.Without++
				continue
			}
			ratio := *a.Ratio
			o.Runs++
			if o.LeastRatio == nil || ratio < *o.LeastRatio {
				o.LeastRatio = &ratio
			}
			if o.MostRatio == nil || ratio > *o.MostRatio {
				o.MostRatio = &ratio
			}
		}
	}
	return out
}

// audit prints one line for each pair of readings over all cells.
func (p *printer) audit() {
	var all []Audit
	for _, c := range p.s.Cells {
		for _, a := range c.Audits {
			if a.Runs == 0 {
				continue
			}
			i := slices.IndexFunc(all, func(o Audit) bool { return o.Domain == a.Domain && o.Check == a.Check })
			if i < 0 {
				all = append(all, a)
				continue
			}
			o := &all[i]
			o.Runs += a.Runs
			least, most := min(*o.LeastRatio, *a.LeastRatio), max(*o.MostRatio, *a.MostRatio)
			o.LeastRatio, o.MostRatio = &least, &most
		}
	}
	for _, a := range all {
		runs := "1 Run"
		if a.Runs > 1 {
			runs = fmt.Sprintf("%d Runs", a.Runs)
		}
		p.paragraph("audit: %s over %s: %.4f to %.4f in %s", a.Domain, a.Check, *a.LeastRatio, *a.MostRatio, runs)
	}
}
