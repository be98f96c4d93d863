package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/core/study"
)

// rivalry is a comparison of arms in blocks.
type rivalry struct {
	arms, blocks int
	// cv of a value; correlation is the share of its variance that a block shares.
	cv, correlation float64
	// difference of the second arm from the first.
	difference float64
	// drift of everything across each block; fixed keeps one order in all blocks.
	drift float64
	fixed bool
	// wild is how many times as much the first arm spreads; 0 = as the others.
	wild float64
}

// seen is what the comparison of the second arm with the first came to.
type seen struct {
	alone  bool // its own p-value is below 5 %
	family bool // any comparison of the family is resolved, after Holm
}

// study draws the values, puts them in the order that the product would run, and
// compares them by the product's rule.
func (d rivalry) study(r *rand.Rand) (seen, error) {
	arms := make([]stats.Arm, d.arms)
	cells := make([]study.Cell, d.arms)
	index := map[string]int{}
	for k := range arms {
		cells[k].ID = fmt.Sprintf("%012x", k+1)
		arms[k] = stats.Arm{Name: cells[k].ID, Values: map[int]float64{}}
		index[cells[k].ID] = k
	}
	p := plan.Build(&study.Study{
		Workload: study.Workload{Seed: int64(r.Uint64() >> 1)},
		Protocol: study.Protocol{Order: plan.Randomised, Cycles: d.blocks, Windows: 1},
	}, cells)
	shared, own := d.cv*math.Sqrt(d.correlation), d.cv*math.Sqrt(1-d.correlation)
	for _, block := range p.Blocks {
		level := shared * r.NormFloat64()
		for place, id := range block.Order {
			k := index[id]
			if d.fixed {
				k = place
			}
			sd := own
			if k == 0 && d.wild > 0 {
				sd *= d.wild
			}
			value := level + sd*r.NormFloat64()
			// A trial stands for the middle of its share of the block.
			value += d.drift * (float64(place) + 0.5) / float64(d.arms)
			if k == 1 {
				value += math.Log1p(d.difference)
			}
			arms[k].Values[block.Index] = math.Exp(value)
		}
	}
	found, err := stats.CompareBlocks(perToken, arms[0], arms[1:])
	if err != nil {
		return seen{}, err
	}
	out := seen{alone: found[0].P != nil && *found[0].P < 0.05}
	for _, c := range found {
		out.family = out.family || c.Resolved
	}
	return out, nil
}

// theory is the power that the noncentral t distribution gives the comparison.
func (d rivalry) theory() float64 {
	df := float64(d.blocks - 1)
	if d.arms > 2 {
		df *= float64(d.arms - 1)
	}
	se := d.cv * math.Sqrt(2*(1-d.correlation)/float64(d.blocks))
	return power(math.Log1p(d.difference)/se, df)
}

// comparisons is T4.
func comparisons(e effort) (report, error) {
	out := report{notes: []string{comparisonNote}}
	seed := uint64(5000)
	run := func(d rivalry) (alone, family int, err error) {
		seed++
		found, err := each(e.studies, seed, func(r *rand.Rand, _ int) (seen, error) { return d.study(r) })
		for _, s := range found {
			if s.alone {
				alone++
			}
			if s.family {
				family++
			}
		}
		return alone, family, err
	}
	for _, arms := range []int{2, 4} {
		for _, n := range []int{3, 5, 8} {
			for _, cv := range []float64{0.005, 0.01, 0.02} {
				for _, correlation := range []float64{0, 0.5, 0.8} {
					if arms > 2 && (n == 3 || cv != 0.01) {
						continue
					}
					d := rivalry{arms: arms, blocks: n, cv: cv, correlation: correlation, difference: 0.02}
					alone, _, err := run(d)
					if err != nil {
						return report{}, err
					}
					slack, theory := e.slack(d.theory()), 100*d.theory()
					f := e.ofStudies("T4", fmt.Sprintf("power, n = %d, CV %g %%, block correlation %g, %d arms", n, 100*cv, correlation, arms), alone)
					f.note = fmt.Sprintf("noncentral t: %.2f %%", theory)
					out.figures = append(out.figures, f.within(theory-2-slack, min(100, theory+2+slack)))
				}
			}
		}
	}
	slack := e.slack(0.05)
	for _, arms := range []int{2, 4, 8} {
		for _, n := range []int{5, 8} {
			for _, drift := range []float64{0, 0.02} {
				alone, family, err := run(rivalry{arms: arms, blocks: n, cv: 0.01, drift: drift})
				if err != nil {
					return report{}, err
				}
				f := e.ofStudies("T4", fmt.Sprintf("false alarms, n = %d, %d arms, drift of %g %% in each block", n, arms, 100*drift), alone)
				f.note = fmt.Sprintf("any of the family, after Holm: %.2f %%", 100*float64(family)/float64(e.studies))
				out.figures = append(out.figures, f.within(4.5-slack, 5.5+slack))
			}
		}
	}
	for _, n := range []int{5, 8} {
		alone, _, err := run(rivalry{arms: 2, blocks: n, cv: 0.01, drift: 0.02, fixed: true})
		if err != nil {
			return report{}, err
		}
		out.figures = append(out.figures, e.ofStudies("T4", fmt.Sprintf("  the same, n = %d, 2 arms in one fixed order (not done), drift of 2 %%", n), alone))
	}
	unequal, err := unequalSpread(e, run)
	if err != nil {
		return report{}, err
	}
	out.figures = append(out.figures, unequal...)
	whole, err := rankings(e, 5900)
	out.figures = append(out.figures, whole...)
	return out, err
}

// unequalSpread shows what pooling costs where few blocks cannot tell that the
// baseline spreads more than the others.
func unequalSpread(e effort, run func(rivalry) (alone, family int, err error)) ([]figure, error) {
	var out []figure
	for _, arms := range []int{2, 4, 8} {
		for _, n := range []int{5, 8} {
			for _, wild := range []float64{2, 3} {
				_, family, err := run(rivalry{arms: arms, blocks: n, cv: 0.01, wild: wild})
				if err != nil {
					return nil, err
				}
				out = append(out, e.ofStudies("T4", fmt.Sprintf("any false alarm, n = %d, %d arms, the baseline spreads %g times as much", n, arms, wild), family))
			}
		}
	}
	return out, nil
}

const comparisonNote = `The baseline is the study's first cell (or the one that it declares), the
second differs from it by 2 % in the rows of power and by nothing in those of false alarms. The
rows of whole reports go through the product's own report, from trials to the verdicts that
its table prints, with the choice of the baseline and Holm's correction over the family, which keeps to
at most 5 %. All arms spread alike but in the rows that say otherwise: there pooling lets more than 5 % pass,
as five to eight blocks seldom prove that one arm spreads twice as much.`
