package report

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/phase"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/core/study"
)

// SchemaVersion of summary.json.
const SchemaVersion = 1

// Options of Summarize.
type Options struct {
	// Dir is the result directory, shown beside names of files.
	Dir string
	// User holds the factors for CO2 and cost; zero means not configured.
	User study.UserConfig
	// Factors replace those of User, if set.
	Factors *Factors
	// Order are the IDs of the study's cells as its plan has them. Cells are compared
	// with the first of them, or with Baseline, the ID of the one that the study
	// declares. Neither depends on what was measured.
	Order    []string
	Baseline string
}

// Summary is what a result directory says, as data.
type Summary struct {
	SchemaVersion int     `json:"schema_version"`
	Study         string  `json:"study"`
	Dir           string  `json:"-"`
	Confidence    float64 `json:"confidence"`
	// Factors for CO2, cost and calibration; nil if none is configured.
	Factors *Factors `json:"factors,omitempty"`
	// Cells in the order of their groups, within one best first.
	Cells  []Cell  `json:"cells"`
	Groups []Group `json:"groups"`
	// Variances say where the spread of J/token comes from.
	Variances []Variance `json:"variances,omitempty"`
	// Probes are cells that were measured for others.
	Probes []Probe `json:"probes,omitempty"`
	// Failed trials; Excluded ones finished with a fatal warning and are in no
	// estimate. Interrupted ones were ended from outside, and are no failures.
	Failed      []Failed   `json:"failed"`
	Interrupted []Failed   `json:"interrupted,omitempty"`
	Excluded    []Excluded `json:"excluded"`
	// Warnings of trials, windows and estimates, one entry for each code.
	Warnings []Warning `json:"warnings"`
	// Problems are what the directory lacks, and files that could not be read.
	Problems []result.Problem `json:"problems"`
}

// Cell holds the estimates of one cell under one energy boundary.
type Cell struct {
	ID       string         `json:"id"`
	Label    string         `json:"label"`
	Instance string         `json:"instance"`
	Axes     map[string]any `json:"axes,omitempty"`
	// Group is the index of the cells that this one may be compared with.
	Group int `json:"group"`
	// Boundary is the canonical string of what the joules cover.
	Boundary  string   `json:"boundary"`
	Estimated bool     `json:"estimated"`
	Sources   []string `json:"sources"`
	// Grouped: the samples are windows of one load (single_load), never ranked.
	Grouped       bool   `json:"grouped,omitempty"`
	RandomWeights bool   `json:"random_weights,omitempty"`
	WorkHash      string `json:"work_hash"`
	// Regime is the thermal one, "hot" or "cooldown".
	Regime  string   `json:"regime"`
	Model   string   `json:"model"`
	Devices []string `json:"devices"`
	// Trials in the estimates, Excluded by a fatal warning, Failed, and Interrupted.
	Trials      int `json:"trials"`
	Excluded    int `json:"excluded"`
	Failed      int `json:"failed"`
	Interrupted int `json:"interrupted,omitempty"`
	// Blocks of the trials in the estimates, by number, ascending.
	Blocks []int `json:"blocks"`

	// Estimates of the headline, by the Metric constants.
	Estimates []stats.Estimate `json:"estimates"`
	// Absent metrics, with the reason.
	Absent map[string]string `json:"absent,omitempty"`
	// Calibration are the user's factors behind energy_per_output_token_calibrated,
	// by GPU UUID.
	Calibration map[string]float64 `json:"calibration,omitempty"`
	// Domains that are not part of the headline, each with its own numbers.
	Domains []Domain `json:"domains,omitempty"`
	// Doubts are the codes of the warnings of its trials and windows.
	Doubts []string `json:"doubts,omitempty"`
	// Audits hold the headline against second readings of the same devices.
	Audits []Audit `json:"audits,omitempty"`
	// SLO holds the limits of its goodput; nil if the study has none.
	SLO *SLO `json:"slo,omitempty"`
	// Phase splits the headline's joules; nil without a trial to use.
	Phase *phase.Split `json:"phase,omitempty"`
	// NotCompared says why the cell is in no comparison; "" if it is in one, or
	// is the only cell.
	NotCompared string `json:"not_compared,omitempty"`

	loads      []result.Trial
	trials     []result.Trial // finished, with those excluded
	probe      bool
	probeID    string
	modelDoubt string // why its model keeps it out of rankings, or ""
}

// Domain holds the estimates of one energy domain beside the headline. They
// are never added to it.
type Domain struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Source string `json:"source"`
	// Devices whose energy it covers. Unused says that they are GPUs of which the
	// deployment has none; then it is no column of the table.
	Devices   []string `json:"devices,omitempty"`
	Unused    bool     `json:"unused,omitempty"`
	Estimated bool     `json:"estimated,omitempty"`
	// Check is true for a second reading of the headline's devices: it audits the
	// headline and is no column of the table.
	Check     bool              `json:"check,omitempty"`
	Estimates []stats.Estimate  `json:"estimates"`
	Absent    map[string]string `json:"absent,omitempty"`
	Doubts    []string          `json:"doubts,omitempty"`
}

// Failed is a trial without a result.
type Failed struct {
	Cell    string `json:"cell"`
	Label   string `json:"label"`
	Block   int    `json:"block"`
	Phase   string `json:"phase"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"`
	// Log is the trial's log, relative to the result directory.
	Log string `json:"log"`
}

// Excluded is a finished trial that a fatal warning keeps out of estimates.
type Excluded struct {
	Cell  string `json:"cell"`
	Label string `json:"label"`
	Block int    `json:"block"`
	// Codes of the fatal warnings.
	Codes []string `json:"codes"`
	Dir   string   `json:"dir"`
}

// Estimate returns the estimate of a metric.
func (c Cell) Estimate(metric string) (stats.Estimate, bool) { return find(c.Estimates, metric) }

// Estimate returns the estimate of a metric.
func (d Domain) Estimate(metric string) (stats.Estimate, bool) { return find(d.Estimates, metric) }

func find(list []stats.Estimate, metric string) (stats.Estimate, bool) {
	for _, e := range list {
		if e.Metric == metric {
			return e, true
		}
	}
	return stats.Estimate{}, false
}

// AddProblem notes what the directory lacks, or what of it could not be read.
func (s *Summary) AddProblem(p result.Problem) { s.Problems = append(s.Problems, p) }

// Summarize makes the estimates of every cell. Trials with a fatal warning
// are counted and left out.
func Summarize(trials, failed []result.Trial, o Options) Summary {
	s := Summary{
		SchemaVersion: SchemaVersion, Dir: o.Dir, Confidence: stats.Confidence, Factors: cmp.Or(o.Factors, FactorsOf(o.User)),
		Cells: []Cell{}, Groups: []Group{}, Failed: []Failed{}, Excluded: []Excluded{}, Warnings: []Warning{}, Problems: []result.Problem{},
	}
	var warnings warningList
	for _, t := range slices.Concat(trials, failed) {
		s.Study = cmp.Or(s.Study, t.Study)
		warnings.trial(t)
	}
	var probes []Cell
	s.Cells, probes = apart(collect(trials, failed))
	for _, c := range probes {
		s.Probes = append(s.Probes, Probe{ID: c.ID, Label: c.Label, Boundary: c.Boundary, Trials: c.Trials, Excluded: c.Excluded, Failed: c.Failed, Interrupted: c.Interrupted})
	}
	split(s.Cells, probes)
	for i := range s.Cells {
		c := &s.Cells[i]
		c.estimate(s.Factors)
		for _, e := range slices.Concat(c.Estimates, c.phaseEstimates()) {
			if loud(e) {
				warnings.estimate(*c, e)
			}
		}
	}
	models(s.Cells, &warnings)
	s.group(o, &warnings)
	s.Variances = variances(s.Cells)
	for _, t := range trials {
		if codes := t.NotRankedBy(); len(codes) > 0 {
			s.Excluded = append(s.Excluded, Excluded{Cell: t.Cell.ID, Label: t.Cell.Label, Block: t.Block, Codes: codes, Dir: t.Dir})
		}
	}
	for _, t := range failed {
		if t.Status == result.StatusInterrupted {
			s.Interrupted = append(s.Interrupted, failedTrial(t))
			continue
		}
		s.Failed = append(s.Failed, failedTrial(t))
	}
	s.Warnings = warnings.sorted()
	return s
}

// apart keeps the cells that the study asks for from their probes.
func apart(all []Cell) (cells, probes []Cell) {
	cells = []Cell{}
	for _, c := range all {
		if c.probe {
			probes = append(probes, c)
		} else {
			cells = append(cells, c)
		}
	}
	return cells, probes
}

func failedTrial(t result.Trial) Failed {
	f := Failed{Cell: t.Cell.ID, Label: t.Cell.Label, Block: t.Block, Phase: "unknown", Code: "unknown", Message: "the record does not say why", Log: path.Join(t.Dir, "log.txt")}
	if t.Failure != nil {
		f.Phase, f.Code, f.Message, f.Advice = t.Failure.Phase, t.Failure.Code, t.Failure.Message, t.Failure.Advice
	}
	return f
}

// collect sorts trials into cells. Trials of one cell under different
// boundaries, workloads or models are different rows: averaging them would mix
// what is never compared.
func collect(trials, failed []result.Trial) []Cell {
	var cells []Cell
	row := func(t result.Trial) *Cell {
		work, model := identity(t)
		i := slices.IndexFunc(cells, func(c Cell) bool {
			return c.ID == t.Cell.ID && c.Boundary == t.Boundary && c.WorkHash == work && c.Model == model
		})
		if i < 0 {
			i = len(cells)
			cells = append(cells, Cell{
				ID: t.Cell.ID, Label: cmp.Or(t.Cell.Label, t.Cell.ID), Instance: t.Cell.Instance, Axes: t.Cell.Axes,
				Boundary: t.Boundary, Grouped: t.Cell.Grouped, WorkHash: work, Model: model, Regime: cmp.Or(t.Regime, study.RegimeHot), Sources: []string{}, Devices: []string{}, Blocks: []int{},
				probe: t.Cell.Probe, probeID: t.Cell.ProbeID,
			})
		}
		return &cells[i]
	}
	for _, t := range trials {
		c := row(t)
		c.describe(t)
		c.trials = append(c.trials, t)
		if len(t.NotRankedBy()) > 0 {
			c.Excluded++
			continue
		}
		c.Trials++
		c.loads = append(c.loads, t)
		if i, there := slices.BinarySearch(c.Blocks, t.Block); !there {
			c.Blocks = slices.Insert(c.Blocks, i, t.Block)
		}
	}
	for _, t := range failed {
		// A trial that failed early knows neither boundary nor workload.
		i := slices.IndexFunc(cells, func(c Cell) bool { return c.ID == t.Cell.ID })
		if i < 0 {
			row(t)
			i = len(cells) - 1
		}
		cells[i].describe(t)
		if t.Status == result.StatusInterrupted {
			cells[i].Interrupted++
		} else {
			cells[i].Failed++
		}
	}
	return cells
}

// describe adds what a trial tells about its cell.
func (c *Cell) describe(t result.Trial) {
	if t.Load != nil {
		c.RandomWeights = c.RandomWeights || t.Load.Report.Model.RandomWeights
		for _, d := range t.Load.Report.Devices {
			if !slices.Contains(c.Devices, d.ID) {
				c.Devices = append(c.Devices, d.ID)
			}
		}
	}
	for _, s := range t.Sources {
		for _, d := range s.Domains {
			if !slices.Contains(t.Headline, d.ID) {
				continue
			}
			c.Estimated = c.Estimated || d.Estimated
			if text := sourceText(s, d); !slices.Contains(c.Sources, text) {
				c.Sources = append(c.Sources, text)
			}
		}
	}
}

// tells is true if a source gave a warning of itself.
func tells(s result.Source, code string) bool {
	return slices.ContainsFunc(s.Warnings, func(w energy.Warning) bool { return w.Code == code })
}

// sourceText says how a headline domain was read: "cpu_package measured by
// rapl (auto: readable)".
func sourceText(s result.Source, d energy.Domain) string {
	how := "measured"
	switch {
	case tells(s, energy.CodeReplayed):
		how = "replayed"
	case tells(s, energy.CodeSimulated):
		how = "simulated"
	case d.Estimated:
		how = "estimated"
	}
	text := fmt.Sprintf("%s %s by %s", d.Kind, how, s.Name)
	if why := strings.TrimSpace(s.Why); why != "" {
		text += " (" + why + ")"
	}
	return text
}
