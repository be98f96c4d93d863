package energy

// A counter of a device that draws power changes in every period. One that is read
// and read again and shows the same has stopped counting, and if it then goes on
// from where it stood, what was used meanwhile is in no joule.

// caughtUpRel is the share of the power of the other time from which on a counter
// counts as having caught up, or the device as having drawn little.
const caughtUpRel = 0.5

// standstill is for how long, between the changes at samples lo and hi, the counter
// was seen to stand still and did not catch up: more than three periods by the reads,
// in which it rose, with the change that ends them, by less than half of what the
// rest of the time says.
func (t *Trace) standstill(lo, hi int) (ns int64) {
	s := t.samples
	type stop struct{ a, b int }
	var stops []stop
	changed := lo
	for i := lo + 1; i <= hi; i++ {
		if s[i].Value == s[i-1].Value {
			continue
		}
		still := s[i-1].MonoNs - s[changed].MonoNs
		if t.Domain.ChangesOnly && t.losses(s[changed].MonoNs, s[i].MonoNs) == 0 {
			still = s[i].MonoNs - s[changed].MonoNs - t.periodNs
		}
		if t.periodNs > 0 && still > 3*t.periodNs {
			stops = append(stops, stop{changed, i})
		}
		changed = i
	}
	if len(stops) == 0 {
		return 0
	}
	counts, time := delta(s[lo].Value, s[hi].Value), s[hi].MonoNs-s[lo].MonoNs
	usual := counts / float64(time)
	for _, x := range stops {
		counts -= delta(s[x.a].Value, s[x.b].Value)
		time -= s[x.b].MonoNs - s[x.a].MonoNs
	}
	if time > 0 { // else it is a counter that always takes its time
		usual = counts / float64(time)
	}
	for _, x := range stops {
		if t.slope(x.a, x.b) < caughtUpRel*usual {
			ns += s[x.b].MonoNs - s[x.a].MonoNs
		}
	}
	return ns
}
