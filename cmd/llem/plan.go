package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// dryPlan is what `llem run --dry-run --format json` prints: the plan as the
// result directory would hold it, with more of each cell.
type dryPlan struct {
	plan.Plan
	Cells  []dryCell `json:"cells"` // in the place of the plan's
	Trials int       `json:"trials"`
	// Sources in the order in which they would be tried.
	Sources []drySource `json:"sources"`
	// WorkVariesBy are the keys in which cells differ that are therefore not compared.
	WorkVariesBy []string `json:"work_varies_by,omitempty"`
}

type dryCell struct {
	ID          string          `json:"id"`
	Label       string          `json:"label"`
	Instance    string          `json:"instance"`
	Plugin      string          `json:"plugin"`
	Probe       bool            `json:"probe,omitempty"`
	Axes        map[string]any  `json:"axes,omitempty"`
	Schedule    *drySchedule    `json:"schedule,omitempty"`
	Diagnostics []dryDiagnostic `json:"diagnostics,omitempty"`
}

// drySchedule is what an open loop sends in each trial.
type drySchedule struct {
	LeastRequests int   `json:"least_requests"`
	LeastNs       int64 `json:"least_ns"`
	Requests      int   `json:"requests"` // that are prepared
	MostNs        int64 `json:"most_ns"`
}

type dryDiagnostic struct {
	Severity sdk.Severity `json:"severity"`
	KeyPath  string       `json:"key_path"`
	Message  string       `json:"message"`
	Advice   string       `json:"advice,omitempty"`
}

type drySource struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// plan shows what a run would do.
func (c *runCommand) plan(a *app, p *llem.Prepared) error {
	if c.Format != "json" {
		return printPlan(a.stdout, p)
	}
	d := dryPlan{Plan: p.Plan, Trials: len(p.Plan.Blocks) * len(p.Cells), Sources: drySources(p)}
	_, d.WorkVariesBy = study.Works(p.Cells)
	for i, cell := range p.Cells {
		one := dryCell{ID: cell.ID, Label: cell.Label, Instance: cell.Instance, Plugin: cell.Plugin, Probe: cell.Probe, Axes: map[string]any{}}
		for _, axis := range cell.Axes {
			one.Axes[axis.Key] = axis.Value
		}
		if f, open := measure.ForecastOpen(cell, p.Plan.WindowsPerLoad); open {
			one.Schedule = &drySchedule{f.LeastRequests, int64(f.LeastS * 1e9), f.Requests, int64(f.MostS * 1e9)}
		}
		for _, x := range p.Checks[i].Diagnostics {
			one.Diagnostics = append(one.Diagnostics, dryDiagnostic{x.Severity, x.KeyPath, x.Message, x.Advice})
		}
		d.Cells = append(d.Cells, one)
	}
	encoder := json.NewEncoder(device(a.stdout))
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

// drySources lists the sources that would be opened: those that the study names,
// and last those that "auto" would try.
func drySources(p *llem.Prepared) []drySource {
	const auto = "auto"
	list := []drySource{}
	add := func(name, why string) {
		if !slices.ContainsFunc(list, func(s drySource) bool { return s.Name == name }) {
			list = append(list, drySource{name, why})
		}
	}
	for _, name := range p.Spec.Energy {
		if name != auto {
			add(name, "named by the study")
		}
	}
	if !slices.Contains(p.Spec.Energy, auto) {
		return list
	}
	for _, name := range measure.AutoSources() {
		why := "auto: if it opens"
		switch name {
		case nvml.Name:
			why = "auto: if a cell uses a GPU"
		case "hostpower":
			why = "auto: if nothing else measures"
		}
		add(name, why)
	}
	return list
}

// printPlan shows what a run would do.
func printPlan(w io.Writer, p *llem.Prepared) error {
	fmt.Fprintf(w, "Study   %s\n", p.Spec.Name)
	fmt.Fprintf(w, "Cells   %s\n", cellCounts(p, strconv.Itoa))
	for i, cell := range p.Cells {
		fmt.Fprintf(w, "  %3d  %s  %s\n", i+1, cell.ID, cell.Label)
		if f, open := measure.ForecastOpen(cell, p.Plan.WindowsPerLoad); open {
			fmt.Fprintf(w, "       schedule of a trial: about %d requests in %s, %d prepared for at most %s\n",
				f.LeastRequests, shown(f.LeastS), f.Requests, shown(f.MostS))
		}
		for _, d := range p.Checks[i].Diagnostics {
			fmt.Fprintf(w, "       %s: %s: %s\n", d.Severity, d.KeyPath, report.OneLine(d.Message))
		}
	}
	if kinds, keys := study.Works(p.Cells); kinds > 1 {
		fmt.Fprintf(w, "Work    %s of it, by %s: cells are compared only with those of the same\n", count(kinds, "kind"), strings.Join(keys, ", "))
	}
	for _, block := range p.Plan.Blocks {
		fmt.Fprintf(w, "Block %d  %v\n", block.Index+1, block.Order)
	}
	trials := len(p.Plan.Blocks) * len(p.Cells)
	_, err := fmt.Fprintf(w, "Plan    %s in %s (%s order), %s. Nothing was started.\n",
		count(trials, "trial"), count(len(p.Plan.Blocks), "block"), p.Plan.Order, forecast(p))
	return err
}

// forecast says what time a study takes as far as that is known.
func forecast(p *llem.Prepared) string {
	if p.Spec.Protocol.Regime == study.RegimeCooldown {
		return fmt.Sprintf("at least %s of idling and windows,\n        and at most %s of cooling down before the measured Runs. Loading and warming\n        up are not in it",
			leastTime(p), mostCooldown(p))
	}
	return fmt.Sprintf("at least %s of idling, conditioning and windows.\n        Loading and warming up are not in it, and until power is steady conditioning takes\n        up to three times as long", leastTime(p))
}

// cellCounts is the number of cells in the form given, and that of the probes.
func cellCounts(p *llem.Prepared, form func(int) string) string {
	cells, probes := p.Counts()
	if probes == 0 {
		return form(cells)
	}
	return form(cells) + " and " + count(probes, "probe")
}

// count is "1 trial" or "2 trials".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shown is a forecast to the second, or to a tenth of it if it is short.
func shown(s float64) time.Duration {
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// leastTime is what idling, conditioning and windows take.
func leastTime(p *llem.Prepared) time.Duration {
	return time.Duration(p.Plan.LeastNs).Round(time.Second)
}

func mostCooldown(p *llem.Prepared) time.Duration {
	return time.Duration(p.Plan.MostCooldownNs).Round(time.Second)
}
