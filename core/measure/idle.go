package measure

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/sdk"
)

// Devices are looked at for idleWait before a load, in idleLooks steps: somebody
// else's work may come and go. A device tells its utilisation over the last second
// or so, and what the trial before leaves in it is gone within idleWait.
const (
	idleWait  = 3 * time.Second
	idleLooks = 12
	// leastLooks in use make somebody's use: one may be the driver's own.
	leastLooks = 2
)

// watchIdle looks at the devices for a while before the load, and until nothing of
// the trial before can be left in a device that was never idle. In place of the
// first look each keeps the one that tells best who uses it.
func (w *watch) watchIdle(ctx context.Context) {
	seen := map[string][]device.Reading{}
	for id, s := range w.before {
		seen[id] = []device.Reading{s.Reading}
	}
	ours := int64(0)
	if w.unloadedNs > 0 {
		ours = w.unloadedNs + int64(w.idle)
	}
	end := sdk.MonoNow() + int64(w.idle)
	step := w.idle / idleLooks
	for len(seen) > 0 && sleep(ctx, step) {
		for id, r := range look(ctx, w, func(m Monitor) map[string]device.Reading { return m.Read(nil) }) {
			if _, ok := seen[id]; ok {
				seen[id] = append(seen[id], r)
			}
		}
		now := sdk.MonoNow()
		if now >= end && (now >= ours+int64(w.idle) || !undecided(seen, ours)) {
			break
		}
	}
	for id, s := range w.before {
		s.Reading = inUse(seen[id], ours)
		w.before[id] = s
	}
}

// undecided tells whether a device is in use at every look, and too few of them
// count.
func undecided(seen map[string][]device.Reading, oursNs int64) bool {
	for _, list := range seen {
		last := list[len(list)-1].UtilisationPct
		if last != nil && *last > 0 && len(counting(list, oursNs)) < leastLooks {
			return true
		}
	}
	return false
}

// inUse is the reading that two looks reach or pass in utilisation, of those that
// count. Where fewer do it is the last look.
func inUse(list []device.Reading, oursNs int64) device.Reading {
	counted := counting(list, oursNs)
	if len(counted) < leastLooks {
		return list[len(list)-1]
	}
	slices.SortStableFunc(counted, func(a, b device.Reading) int { return cmp.Compare(*b.UtilisationPct, *a.UtilisationPct) })
	return counted[leastLooks-1]
}

// counting are the looks from the first idle one on, or later than oursNs, the
// last stamp at which work of the trial before may show.
func counting(list []device.Reading, oursNs int64) (counted []device.Reading) {
	idle := false
	for _, r := range list {
		if r.UtilisationPct == nil {
			continue
		}
		idle = idle || *r.UtilisationPct == 0
		if idle || r.MonoNs >= oursNs {
			counted = append(counted, r)
		}
	}
	return counted
}
