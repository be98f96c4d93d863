package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
)

// foreignProcess looks for users of the deployment's GPUs that are not ours: before
// the load anybody but a server that the plugin attached to, after the Run (the engine
// is still there) whoever is not the deployment's. A graphics process is a warning
// only, since a desktop hardly draws power while nobody looks at it.
//
// Who comes and goes within the Run is not seen.
//
// The driver gives the pids of the host. Where the deployment's own are not
// among them, in a container, only their number can be compared.
func foreignProcess(j *judging) {
	j.gpus(func(d Device) {
		id := d.Facts.UUID
		if d.Before == nil || d.Before.Processes == nil || d.After == nil || d.After.Processes == nil {
			j.unknown("the processes on %s are not known", id)
			return
		}
		ours := func(p device.Process) bool { return slices.Contains(j.OwnPIDs, p.PID) }
		if users := slices.DeleteFunc(slices.Clone(d.Before.Processes), ours); len(users) > 0 {
			j.find(energy.SeverityWarning, id, float64(len(users)), "before the load %s was used by %s", id, list(users))
		}
		graphics := func(p device.Process) bool { return p.Kind == "graphics" }
		compute := slices.DeleteFunc(slices.Clone(d.After.Processes), graphics)
		foreign := slices.DeleteFunc(slices.Clone(compute), ours)
		switch known := len(compute) > len(foreign); {
		case known && len(foreign) > 0:
			j.find(energy.SeverityFatal, id, float64(len(foreign)), "at the end of the Run %s was also used by %s", id, list(foreign))
		case known:
		case d.Own == 0 || len(compute) < d.Own:
			j.unknown("the driver does not show the deployment's own process on %s, so it may hide others, too", id)
		case len(compute) > d.Own:
			j.find(energy.SeverityWarning, id, float64(len(compute)), "%d processes used %s after the Run and %d are the deployment's; which, cannot be told: the driver's pids are not this container's", len(compute), id, d.Own)
		}
		if len(compute) < len(d.After.Processes) {
			drawn := slices.DeleteFunc(slices.Clone(d.After.Processes), func(p device.Process) bool { return !graphics(p) })
			j.find(energy.SeverityWarning, id, float64(len(drawn)), "at the end of the Run %s was also used by %s", id, list(drawn))
		}
		j.saw()
	})
}

func list(processes []device.Process) string {
	var words []string
	for _, p := range processes {
		words = append(words, fmt.Sprintf("pid %d (%s)", p.PID, p.Kind))
	}
	return strings.Join(words, ", ")
}
