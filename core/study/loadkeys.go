package study

import (
	"fmt"
	"slices"
	"strings"
)

// loadKeys checks that the load's keys fit its mode.
func (r *reader) loadKeys(cell *Cell, say func(Problem)) {
	l := cell.Load
	needs := map[string][]string{
		"closed": {"concurrency"}, "constant": {"rate"}, "poisson": {"rate"}, "gamma": {"rate", "burstiness"},
	}[l.Mode]
	modeAt := r.setAt(cell, "load.mode")
	for _, one := range []struct {
		name  string
		value any
		set   bool
	}{{"concurrency", l.Concurrency, l.Concurrency != 0}, {"rate", l.Rate, l.Rate != 0}, {"burstiness", l.Burstiness, l.Burstiness != 0}} {
		key, needed := "load."+one.name, slices.Contains(needs, one.name)
		switch at := r.setAt(cell, key); {
		case needed && !one.set:
			// Nothing is at the key itself: the mode is what asks for it.
			p := r.study.ProblemAt(modeAt, fmt.Sprintf("it is missing and mode %q needs it", l.Mode), "add it")
			if p.Key = key; modeAt != "sweep.load.mode" {
				p.Key = strings.TrimSuffix(modeAt, "load.mode") + key
			}
			say(p)
		case one.set && !needed && at == key && modeAt != "load.mode":
			// The key is right for other cells: the mode of this one is not.
			say(r.study.ProblemAt(modeAt, fmt.Sprintf("mode %q does not use %s = %v, which [load] gives to all cells", l.Mode, key, one.value),
				r.elsewhere(cell, fmt.Sprintf("%s = %v", key, one.value), fmt.Sprintf("%s = [%v]", key, one.value))))
		case one.set && !needed:
			hint := "remove it"
			switch beside := strings.TrimSuffix(at, key) + "load.mode"; {
			case !r.variesMode() || modeAt == beside && modeAt != "load.mode" && modeAt != "sweep.load.mode":
			case at == key:
				hint = r.elsewhere(cell, fmt.Sprintf("%s = %v", key, one.value), fmt.Sprintf("%s = [%v]", key, one.value))
			default:
				hint = "set it beside the mode that uses it: " + inGroup
			}
			say(r.study.ProblemAt(at, fmt.Sprintf("mode %q does not use it", l.Mode), hint))
		}
	}
}

const inGroup = "settings that belong together are an alternative, [sweep.groups.load.NAME]"

// variesMode tells whether anything but [load] sets the mode of a cell.
func (r *reader) variesMode() bool {
	mode := func(s Setting) bool { return s.Key == "load.mode" }
	return slices.ContainsFunc(r.study.Sweep.Axes, func(a AxisSpec) bool { return a.Key == "load.mode" }) ||
		slices.ContainsFunc(r.study.Experiments, func(e Experiment) bool { return slices.ContainsFunc(e.Settings, mode) }) ||
		slices.ContainsFunc(r.study.Sweep.Groups, func(g Group) bool {
			return slices.ContainsFunc(g.Alternatives, func(a Alternative) bool { return slices.ContainsFunc(a.Settings, mode) })
		})
}

// elsewhere says where a setting of [load] goes that not all cells can have:
// nothing takes a key away from a single cell again.
func (r *reader) elsewhere(cell *Cell, setting, axis string) string {
	switch {
	case len(r.study.Experiments) > 0 && !r.study.hasGrid():
		return fmt.Sprintf("take it out of [load] and write `%s` in each experiment that uses it", setting)
	case cell.Experiment != "":
		return fmt.Sprintf("take it out of [load] and write `%s` under [sweep], which is not about experiments, and `%s` in each other experiment that uses it", axis, setting)
	}
	return fmt.Sprintf("take it out of [load] and write `%s` beside each mode that uses it: %s", setting, inGroup)
}

// setAt is the place that gives a cell's key its value: an axis, a group's
// alternative, an experiment, or the key itself.
func (r *reader) setAt(cell *Cell, key string) string {
	sets := func(list []Setting) bool {
		return slices.ContainsFunc(list, func(s Setting) bool { return s.Key == key })
	}
	for _, e := range r.study.Experiments {
		if e.Name == cell.Experiment && sets(e.Settings) {
			return "experiments." + e.Name + "." + key
		}
	}
	for _, axis := range cell.Axes {
		if axis.Key == key {
			return "sweep." + key
		}
		for _, group := range r.study.Sweep.Groups {
			for _, a := range group.Alternatives {
				if axis.Key == "groups."+group.Name && axis.Value == a.Name && sets(a.Settings) {
					return "sweep.groups." + group.Name + "." + a.Name + "." + key
				}
			}
		}
	}
	return key
}
