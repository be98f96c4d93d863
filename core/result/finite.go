package result

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
)

// An engine may report NaN and infinities, JSON cannot hold them, and they must
// not cost the trial.

// note adds to the warnings of a copy of a trial, not to the caller's.
func (t *Trial) note(code, message string) {
	t.Warnings = append(t.Warnings[:len(t.Warnings):len(t.Warnings)], energy.Warning{Code: code, Severity: energy.SeverityInfo, Message: message})
}

// finiteTable keeps the resolved parameters that are no numbers as text, since
// "+Inf" is what the engine runs with; each is noted by name.
func finiteTable(m sdk.Table, t *Trial) sdk.Table {
	if m == nil {
		return nil
	}
	return finiteValue("", m, t).(sdk.Table)
}

func finiteValue(path string, v any, t *Trial) any {
	switch x := v.(type) {
	case float64:
		if !notFinite(x) {
			return x
		}
		text := strconv.FormatFloat(x, 'g', -1, 64)
		t.note("resolved_not_finite", fmt.Sprintf("the engine reported %s for parameter %s; it is kept as text", text, path))
		return text
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = finiteValue(fmt.Sprintf("%s[%d]", path, i), e, t)
		}
		return out
	case sdk.Table:
		out := make(sdk.Table, len(x))
		for _, key := range slices.Sorted(maps.Keys(x)) {
			at := key
			if path != "" {
				at = path + "." + key
			}
			out[key] = finiteValue(at, x[key], t)
		}
		return out
	}
	return v
}

// finiteRun drops the engine's metrics that are no numbers, by name.
func finiteRun(r *Run, t *Trial) *Run {
	if r == nil {
		return nil
	}
	out := *r
	out.Before, out.After = finiteCounters(r.Before, t), finiteCounters(r.After, t)
	return &out
}

func finiteCounters(c *sdk.Counters, t *Trial) *sdk.Counters {
	if c == nil {
		return nil
	}
	out := *c
	lost := func(name string, value float64) {
		t.note("metric_not_finite", fmt.Sprintf("the engine reported %v for %s; it was left out", value, name))
	}
	if out.RunningMean != nil && notFinite(*out.RunningMean) {
		lost("running_mean", *out.RunningMean)
		out.RunningMean = nil
	}
	out.Named = nil
	for _, m := range c.Named {
		if notFinite(m.Value) {
			lost(m.Name, m.Value)
			continue
		}
		out.Named = append(out.Named, m)
	}
	return &out
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
