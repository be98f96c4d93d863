package energy

import "sort"

// lossAt reports whether samples are known to be lost right after the sample
// stamped at ns.
func (t *Trace) lossAt(ns int64) bool {
	i := sort.Search(len(t.gaps), func(i int) bool { return t.gaps[i].FromNs >= ns })
	return i < len(t.gaps) && t.gaps[i].FromNs == ns
}
