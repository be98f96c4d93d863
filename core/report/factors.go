package report

import (
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/core/study"
)

// Factors turn joules into CO2-equivalent and cost. They are the user's, and
// not measured; those that are not configured are nil.
type Factors struct {
	GridGPerKWh  *float64 `json:"grid_g_per_kwh,omitempty"`
	TariffPerKWh *float64 `json:"tariff_per_kwh,omitempty"`
	Currency     string   `json:"currency,omitempty"`
	// PUE multiplies both; without it they cover the headline's joules alone.
	PUE *float64 `json:"pue,omitempty"`
	// SensorCalibration holds factors by GPU UUID, from an external meter. They
	// make an estimate of their own and are in no other.
	SensorCalibration map[string]float64 `json:"sensor_calibration,omitempty"`
}

// FactorsOf takes the factors from the user's settings; nil if there are none.
func FactorsOf(u study.UserConfig) *Factors {
	f := Factors{
		GridGPerKWh: set(u.GridIntensityGPerKWh), TariffPerKWh: set(u.TariffPerKWh),
		PUE: set(u.PUE), SensorCalibration: u.SensorCalibration,
	}
	if f.TariffPerKWh != nil {
		f.Currency = u.Currency
	}
	if f.GridGPerKWh == nil && f.TariffPerKWh == nil && len(f.SensorCalibration) == 0 {
		return nil
	}
	return &f
}

// set is nil for a factor that is not configured.
func set(v float64) *float64 {
	if v <= 0 {
		return nil
	}
	return &v
}

// perMillion turns J/token into kWh per million tokens.
const perMillion = 1e6 / 3.6e6

// derive makes the estimates of CO2 and cost from that of J/token. The
// factors are taken as exact, so the relative uncertainties stay the same.
func (f *Factors) derive(perToken stats.Estimate) []stats.Estimate {
	if f == nil {
		return nil
	}
	scale := perMillion
	if f.PUE != nil {
		scale *= *f.PUE
	}
	var out []stats.Estimate
	if f.GridGPerKWh != nil {
		out = append(out, scaled(perToken, MetricCO2, "gCO2e/Mtoken", scale**f.GridGPerKWh))
	}
	if f.TariffPerKWh != nil {
		unit := f.Currency
		if unit == "" {
			unit = "currency"
		}
		out = append(out, scaled(perToken, MetricCost, unit+"/Mtoken", scale**f.TariffPerKWh))
	}
	return out
}

func scaled(e stats.Estimate, metric, unit string, by float64) stats.Estimate {
	times := func(p *float64) *float64 {
		if p == nil {
			return nil
		}
		v := *p * by
		return &v
	}
	e.Metric, e.Unit, e.Direction = metric, unit, stats.Lower
	e.Centre *= by
	e.Lo, e.Hi = times(e.Lo), times(e.Hi)
	if e.BCa != nil {
		e.BCa = &stats.Interval{Lo: e.BCa.Lo * by, Hi: e.BCa.Hi * by}
	}
	e.Warnings = nil // they are those of J/token
	return e
}
