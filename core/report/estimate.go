package report

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// Metrics of a cell.
const (
	MetricEnergyPerToken   = "energy_per_output_token"
	MetricTokensPerS       = "output_tokens_per_s"
	MetricEnergyPerRequest = "energy_per_request"
	MetricPower            = "mean_power"
	MetricTTFT             = "ttft_p50"
	MetricTPOT             = "tpot_p50"
	MetricGoodput          = "goodput"
	MetricGoodputShare     = "goodput_share"
	MetricGoodputPerJoule  = "goodput_per_joule"
	MetricCO2              = "co2e_per_million_output_tokens"
	MetricCost             = "cost_per_million_output_tokens"
)

// metric is how one number of a window is read.
type metric struct {
	name, unit string
	direction  stats.Direction // "" = the unit knows
	joules     bool            // it depends on the energy boundary and the sensor
	value      func(result.Window) *float64
	missing    string
	why        func(result.Window) string          // what is missing in a window, if set
	within     func(result.Window) *stats.Interval // of the value in one window, if set
}

// metrics of the headline, in the order in which they are shown.
func metrics(loads []result.Trial) []metric {
	return slices.Concat(headlineMetrics(), latencyMetrics(loads), goodputMetrics(loads))
}

func headlineMetrics() []metric {
	return []metric{
		{name: MetricEnergyPerToken, unit: "J/token", joules: true, value: func(w result.Window) *float64 { return w.EnergyPerOutputTokenJ }, missing: "no energy or no output token in a window"},
		{name: MetricTokensPerS, unit: "tokens/s", value: func(w result.Window) *float64 { return &w.OutputTokensPerS }},
		{name: MetricEnergyPerRequest, unit: "J/request", joules: true, value: func(w result.Window) *float64 { return w.EnergyPerRequestJ }, missing: "no energy or no request in a window"},
		{name: MetricPower, unit: "W", direction: stats.Neither, joules: true, value: func(w result.Window) *float64 { return w.MeanPowerW }, missing: "no energy in a window"},
	}
}

// domainMetrics of one domain, from its own joules.
func domainMetrics(id string) []metric {
	joules := func(w result.Window) *float64 {
		for _, d := range w.Domains {
			if d.DomainID == id && d.Error == "" {
				return &d.Window.EnergyJ
			}
		}
		return nil
	}
	per := func(w result.Window, by float64) *float64 {
		e := joules(w)
		if e == nil || by <= 0 {
			return nil
		}
		v := *e / by
		return &v
	}
	return []metric{
		{name: MetricEnergyPerToken, unit: "J/token", joules: true, missing: "the domain has no energy in a window", value: func(w result.Window) *float64 {
			return per(w, float64(w.OutputTokens))
		}},
		{name: MetricPower, unit: "W", direction: stats.Neither, joules: true, missing: "the domain has no energy in a window", value: func(w result.Window) *float64 {
			return per(w, float64(w.DurationNs())/1e9)
		}},
	}
}

// estimate fills the cell from its loads.
func (c *Cell) estimate(f *Factors) {
	c.Estimates, c.Absent = summarize(c.loads, c.Grouped, c.Boundary, metrics(c.loads), headlineSystematic)
	c.SLO, _ = sloOf(c.loads)
	for _, e := range c.Estimates {
		if e.Metric == MetricEnergyPerToken {
			c.Estimates = append(c.Estimates, f.derive(e)...)
			break
		}
	}
	c.calibrate(f)
	c.Domains = otherDomains(c.loads, c.Grouped)
	c.Doubts = doubts(c.trials, "")
	c.Audits = audits(c.trials)
	for i := range c.Domains {
		c.Domains[i].Doubts = doubts(c.trials, c.Domains[i].ID)
	}
}

// summarize makes an estimate of each metric, or says why there is none. The
// windows of a load are averaged first; loads are the samples.
func summarize(loads []result.Trial, grouped bool, boundary string, list []metric, systematic func(result.Window) *float64) ([]stats.Estimate, map[string]string) {
	estimates, absent := []stats.Estimate{}, map[string]string{}
	for _, m := range list {
		values, err := m.collect(loads)
		if err != nil {
			absent[m.name] = err.Error()
			continue
		}
		spec := stats.Spec{Metric: m.name, Unit: m.unit, Direction: m.direction, Seed: seed(m.name)}
		if m.joules {
			spec.Boundary, spec.SystematicRel, spec.EdgeRel = boundary, worst(loads, systematic), edge(loads, grouped)
		}
		if first := loads[0].Windows; m.within != nil && len(loads) == 1 && len(first) == 1 {
			spec.WithinLoad = m.within(first[0])
		}
		var e stats.Estimate
		if grouped && len(values) == 1 {
			e, err = stats.SummarizeGrouped(spec, values[0])
		} else {
			e, err = stats.SummarizeLoads(spec, values)
		}
		if err != nil {
			absent[m.name] = err.Error()
			continue
		}
		estimates = append(estimates, e)
	}
	return estimates, absent
}

var errNoLoads = errors.New("no trial of this cell can be used")

// collect gives the metric's values by load. A metric that one window lacks is
// absent: a mean over what happens to be there would be of something else.
func (m metric) collect(loads []result.Trial) ([][]float64, error) {
	if len(loads) == 0 {
		return nil, errNoLoads
	}
	values := make([][]float64, len(loads))
	for i, t := range loads {
		for _, w := range t.Windows {
			v := m.value(w)
			if v == nil {
				missing := m.missing
				if m.why != nil {
					missing = m.why(w)
				}
				return nil, fmt.Errorf("%s (block %d)", missing, t.Block+1)
			}
			values[i] = append(values[i], *v)
		}
	}
	return values, nil
}

func headlineSystematic(w result.Window) *float64 { return w.SystematicRel }

// worst is the greatest systematic half-width of any window: it is common to
// all, so it never shrinks with their number.
func worst(loads []result.Trial, of func(result.Window) *float64) *float64 {
	var out *float64
	for _, t := range loads {
		for _, w := range t.Windows {
			if v := of(w); v != nil && (out == nil || *v > *out) {
				out = v
			}
		}
	}
	return out
}

// edge is the modelled random error of one sample, from the worst window: of a
// load's value, which is the mean of its windows, or of a window where those are
// the samples.
func edge(loads []result.Trial, grouped bool) *float64 {
	e := worst(loads, func(w result.Window) *float64 { return w.EdgeRel })
	if e == nil || grouped {
		return e
	}
	windows := len(loads[0].Windows)
	for _, t := range loads {
		windows = min(windows, len(t.Windows))
	}
	v := *e / math.Sqrt(float64(max(1, windows)))
	return &v
}

// seed of the bootstrap, so that a summary made again has the same bits.
func seed(metric string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(metric)) // a hash never fails
	return h.Sum64()
}
