package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

// MetricCalibrated is J/token with each GPU's joules multiplied by the factor that
// the user has from an external meter. It stands beside the headline, which is
// never calibrated. The sensor's bounds stay as they are: what is known of the
// factor's own error is not configured.
const MetricCalibrated = "energy_per_output_token_calibrated"

// calibrate adds the calibrated J/token of a cell on GPUs, or the reason why not.
// Without factors there is neither.
func (c *Cell) calibrate(f *Factors) {
	if f == nil || len(f.SensorCalibration) == 0 || len(c.loads) == 0 || !onGPUs(c.loads[0]) {
		return
	}
	used, err := f.of(c.loads)
	if err != nil {
		c.Absent[MetricCalibrated] = err.Error()
		return
	}
	c.Calibration = used
	calibrated := metric{
		name: MetricCalibrated, unit: "J/token", joules: true, missing: "no energy or no output token in a window",
		value: func(w result.Window) *float64 { return calibratedPerToken(c.loads, w, used) },
	}
	estimates, absent := summarize(c.loads, c.Grouped, c.Boundary, []metric{calibrated}, headlineSystematic)
	for i := range estimates {
		estimates[i].Warnings = nil // they are those of J/token
	}
	c.Estimates = append(c.Estimates, estimates...)
	maps.Copy(c.Absent, absent)
}

// onGPUs tells whether the headline is of GPUs alone.
func onGPUs(t result.Trial) bool {
	list := headlineOf(t)
	return len(list) > 0 && !slices.ContainsFunc(list, func(d energy.Domain) bool { return d.Kind != energy.KindGPU })
}

// of gives the factors of the GPUs that loads ran on, by UUID.
func (f *Factors) of(loads []result.Trial) (map[string]float64, error) {
	used := map[string]float64{}
	for _, t := range loads {
		for _, d := range headlineOf(t) {
			if len(d.DeviceIDs) != 1 {
				return nil, fmt.Errorf("%s covers %d devices, so no single factor applies", d.ID, len(d.DeviceIDs))
			}
			factor, ok := f.SensorCalibration[d.DeviceIDs[0]]
			if !ok {
				return nil, fmt.Errorf("sensor_calibration has no factor for %s", d.DeviceIDs[0])
			}
			used[d.DeviceIDs[0]] = factor
		}
	}
	return used, nil
}

// calibratedPerToken weighs the factors of the headline's GPUs by their joules.
func calibratedPerToken(loads []result.Trial, w result.Window, factors map[string]float64) *float64 {
	if w.EnergyJ == nil || w.OutputTokens <= 0 {
		return nil
	}
	var plain, calibrated float64
	for _, d := range headlineOf(loads[0]) { // the boundary is the same for all
		for _, part := range w.Domains {
			if part.DomainID == d.ID && part.Error == "" {
				plain += part.Window.EnergyJ
				calibrated += part.Window.EnergyJ * factors[d.DeviceIDs[0]]
			}
		}
	}
	if plain <= 0 {
		return nil
	}
	v := *w.EnergyJ * calibrated / plain / float64(w.OutputTokens)
	return &v
}

// calibrated prints the values with factors beside the headline's.
func (p *printer) calibrated() {
	said := false
	for _, c := range p.s.Cells {
		e, ok := c.Estimate(MetricCalibrated)
		if !ok {
			continue
		}
		if !said {
			p.line("J/token with the configured factors of the sensors (all else is without them):")
			said = true
		}
		var factors []string
		for _, uuid := range slices.Sorted(maps.Keys(c.Calibration)) {
			factors = append(factors, fmt.Sprintf("%g for %s", c.Calibration[uuid], uuid))
		}
		p.paragraph("  %s  %s (factor %s)", c.Label, c.mark(interval(e, true)), strings.Join(factors, ", "))
	}
	var reasons []string
	for _, c := range p.s.Cells {
		if why := c.Absent[MetricCalibrated]; why != "" && !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
			p.paragraph("not calibrated: %s: %s", c.Label, OneLine(why))
		}
	}
}
