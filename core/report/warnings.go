package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// Warning is one kind of doubt with how often it was met.
type Warning struct {
	Code     string          `json:"code"`
	Severity energy.Severity `json:"severity"`
	// Message is the worst one's where its figure can be weighed, else the
	// first's; Cell is the label of the cell that it is about, or "".
	Message string `json:"message"`
	Cell    string `json:"cell,omitempty"`
	// Weighed says that the message is the worst one's.
	Weighed bool `json:"weighed,omitempty"`
	Count   int  `json:"count"`
	// Trials that gave it, each counted once; 0 if only statistics did.
	Trials int `json:"trials,omitempty"`
	// Cells concerned, by label.
	Cells []string `json:"cells,omitempty"`

	worse  *float64 // how bad it is among those of its code; nil = not known
	bare   string   // the message without the metric's name, "" = the message
	varied bool     // bare messages differ
	trial  string   // which trial gives it, or ""
	trials []string // that gave it
}

// warningList groups warnings by code and severity.
type warningList struct{ list []Warning }

func (l *warningList) add(w Warning, cell string) {
	w.Cell, w.bare = cell, cmp.Or(w.bare, w.Message)
	i := slices.IndexFunc(l.list, func(x Warning) bool { return x.Code == w.Code && x.Severity == w.Severity })
	if i < 0 {
		i = len(l.list)
		l.list = append(l.list, w)
	}
	x := &l.list[i]
	x.varied = x.varied || w.bare != x.bare
	if w.worse != nil && (x.worse == nil || *w.worse > *x.worse) {
		x.Message, x.Cell, x.worse = w.Message, w.Cell, w.worse
	}
	x.Count++
	if w.trial != "" && !slices.Contains(x.trials, w.trial) {
		x.trials = append(x.trials, w.trial)
		x.Trials = len(x.trials)
	}
	x.Weighed = x.worse != nil && x.varied
	if cell != "" && !slices.Contains(x.Cells, cell) {
		x.Cells = append(x.Cells, cell)
	}
}

func (l *warningList) trial(t result.Trial) {
	label := cmp.Or(t.Cell.Label, t.Cell.ID)
	id := fmt.Sprintf("%s/%d/%s", t.Cell.ID, t.Block, t.Dir)
	for _, w := range t.Warnings {
		l.add(Warning{trial: id, Code: w.Code, Severity: w.Severity, Message: w.Message, worse: badnessOfTrial(t, w)}, label)
	}
	for _, window := range t.Windows {
		for _, w := range window.Warnings {
			l.add(Warning{trial: id, Code: w.Code, Severity: w.Severity, Message: w.Message, worse: badnessInWindow(window, w)}, label)
		}
		// What makes the headline is in the window's own list already.
		for _, d := range window.Domains {
			if slices.Contains(t.Headline, d.DomainID) {
				continue
			}
			for _, w := range d.Window.Warnings {
				if seldom := w.Code == energy.CodeSampleGap || w.Code == energy.CodeLowCoverage; seldom && isCheck(t, d.DomainID) {
					l.add(Warning{trial: id, Code: codeSparseCheck, Severity: energy.SeverityInfo, Message: d.DomainID + sparseCheck}, label)
					continue
				}
				l.add(Warning{trial: id, Code: w.Code, Severity: energy.SeverityInfo, Message: d.DomainID + ": " + w.Message, worse: badnessInWindow(window, w)}, label)
			}
			if d.Error != "" {
				l.add(Warning{trial: id, Code: "domain_without_energy", Severity: energy.SeverityWarning, Message: d.Error}, label)
			}
		}
	}
}

// codeSparseCheck stands for all that windows say of too few samples of a counter that
// is there as a check. Where that makes the check itself doubtful the audit says so.
const (
	codeSparseCheck = "sparse_check"
	sparseCheck     = " is a counter beside power samples of the same device: it is read seldom and checks whole Runs, so that its own figures over single windows are rough; no other figure rests on them"
)

// isCheck tells whether a domain is such a check.
func isCheck(t result.Trial, domainID string) bool {
	for _, s := range t.Sources {
		i := slices.IndexFunc(s.Domains, func(d energy.Domain) bool { return d.ID == domainID })
		if i >= 0 {
			return slices.ContainsFunc(s.Domains, s.Domains[i].IsCheckOf)
		}
	}
	return false
}

func (l *warningList) estimate(c Cell, e stats.Estimate) {
	for _, w := range e.Warnings {
		if w.Code == stats.CodeSingleCycle && e.Method == stats.MethodOrder {
			continue // the headline says it of the same load
		}
		severity := energy.SeverityWarning
		if w.Code == stats.CodeSmallN || w.Code == stats.CodeBelowZero {
			severity = energy.SeverityInfo
		}
		l.add(Warning{Code: w.Code, Severity: severity, Message: e.Metric + ": " + w.Message, bare: w.Message, worse: farness(w.Value)}, c.Label)
	}
}

// sorted puts the worst first.
func (l *warningList) sorted() []Warning {
	rank := map[energy.Severity]int{energy.SeverityFatal: 0, energy.SeverityWarning: 1, energy.SeverityInfo: 2}
	slices.SortStableFunc(l.list, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(rank[a.Severity], rank[b.Severity]), cmp.Compare(a.Code, b.Code))
	})
	if l.list == nil {
		return []Warning{}
	}
	return l.list
}
