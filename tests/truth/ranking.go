package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/core/plan"
	product "github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// alarms of a study of equal cells: is any difference resolved?
type alarms struct {
	report bool // by the report, which chooses what the others are compared with
	best   bool // if they were compared with the cell that came out best
}

// equalCells makes the results of a study whose cells are all the same, and lets the
// report say what it finds.
func equalCells(cells, blocks int, drift float64, r *rand.Rand) (alarms, error) {
	list := make([]study.Cell, cells)
	for k := range list {
		list[k].ID = fmt.Sprintf("%012x", k+1)
	}
	p := plan.Build(&study.Study{
		Workload: study.Workload{Seed: int64(r.Uint64() >> 1)},
		Protocol: study.Protocol{Order: plan.Randomised, Cycles: blocks, Windows: 1},
	}, list)
	var trials []result.Trial
	arms := make([]stats.Arm, cells)
	sums := make([]float64, cells)
	for _, block := range p.Blocks {
		for place, id := range block.Order {
			joules := math.Exp(0.01*r.NormFloat64() + drift*(float64(place)+0.5)/float64(cells))
			trials = append(trials, trialOf(id, block.Index, joules))
			for k := range arms {
				if list[k].ID != id {
					continue
				}
				if arms[k].Values == nil {
					arms[k] = stats.Arm{Name: id, Values: map[int]float64{}}
				}
				arms[k].Values[block.Index] = joules
				sums[k] += joules
			}
		}
	}
	order := make([]string, cells)
	for k := range order {
		order[k] = p.Cells[k].ID
	}
	var out alarms
	for _, g := range product.Summarize(trials, nil, product.Options{Order: order}).Groups {
		if len(g.Comparisons) != cells-1 {
			return out, fmt.Errorf("%d of %d equal cells are compared: %s", len(g.Comparisons), cells-1, g.NotCompared)
		}
		out.report = out.report || anyResolved(g.Comparisons)
	}
	best := 0
	for k := range sums {
		if sums[k] < sums[best] {
			best = k
		}
	}
	arms[0], arms[best] = arms[best], arms[0]
	found, err := stats.CompareBlocks(perToken, arms[0], arms[1:])
	out.best = anyResolved(found)
	return out, err
}

func anyResolved(list []stats.Comparison) bool {
	for _, c := range list {
		if c.Resolved {
			return true
		}
	}
	return false
}

// trialOf is the least record that the report ranks.
func trialOf(id string, block int, joulesPerToken float64) result.Trial {
	const tokens, windowNs = 1000, 10e9
	total := joulesPerToken * tokens
	return result.Trial{
		SchemaVersion: 1, Block: block, Status: result.StatusOK, Ranked: true,
		Cell: result.Cell{ID: id, Label: id, Loop: sdk.LoopBatch}, Boundary: "gpu[simulated]",
		Load: &result.Load{Report: sdk.LoadReport{Model: sdk.ModelIdentity{Base: "simulated"}}},
		Windows: []result.Window{{
			ToNs: windowNs, Requests: 1, OutputTokens: tokens, EnergyJ: &total, EnergyPerOutputTokenJ: &joulesPerToken,
			OutputTokensPerS: tokens / (windowNs / 1e9),
		}},
	}
}

// rankings are the false alarms of whole reports.
func rankings(e effort, seed uint64) ([]figure, error) {
	var out []figure
	for _, cells := range []int{3, 4, 8} {
		for _, n := range []int{5, 8} {
			for _, drift := range []float64{0, 0.02} {
				seed++
				found, err := each(e.studies, seed, func(r *rand.Rand, _ int) (alarms, error) { return equalCells(cells, n, drift, r) })
				if err != nil {
					return nil, err
				}
				inReport, best := 0, 0
				for _, a := range found {
					if a.report {
						inReport++
					}
					if a.best {
						best++
					}
				}
				f := e.ofStudies("T4", fmt.Sprintf("any false alarm in a report, n = %d, %d equal cells, drift of %g %%", n, cells, 100*drift), inReport)
				f.note = fmt.Sprintf("were the best cell the baseline: %.2f %%", 100*float64(best)/float64(e.studies))
				out = append(out, f.atMost(5.5+e.slack(0.05)))
			}
		}
	}
	return out, nil
}
