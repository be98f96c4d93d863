package energy

import (
	"math"
	"testing"
)

// counting is a counter that is read every 100 ms from 1 s to 13 s. It counts about
// 300 W, but not between two stamps; then it goes on from where it stood, or catches
// up.
func counting(t *testing.T, d Domain, stillFromNs, stillToNs int64, catchesUp bool) *Trace {
	t.Helper()
	const step = int64(100e6)
	var samples []Sample
	var true_, shown, behind int64
	for at := int64(1e9); at <= 13e9; at += step {
		rise := 30_000 + at/step%7
		true_ += rise
		switch {
		case at > stillFromNs && at <= stillToNs:
			behind += rise
		case catchesUp:
			shown = true_
		default:
			shown = true_ - behind
		}
		if n := len(samples); !d.ChangesOnly || n == 0 || samples[n-1].Value != shown {
			samples = append(samples, Sample{MonoNs: at, Value: shown})
		}
	}
	return trace(t, d, 13e9, samples...)
}

// A counter that stops counting loses joules. The window says for how long.
func TestACounterThatStandsStill(t *testing.T) {
	const from, to = int64(1.55e9), int64(11.55e9)
	changes := joules()
	changes.ChangesOnly = true
	for name, c := range map[string]struct {
		fromNs, toNs int64
		catchesUp    bool
		covered      float64
		fatal        bool
	}{
		"never":                   {0, 0, false, 1, false},
		"in the middle":           {4e9, 7e9, false, 0.69, true},
		"shortly":                 {4e9, 4.5e9, false, 0.94, false},
		"from the middle on":      {6e9, 14e9, false, 0.44, true},
		"from the begin on":       {0, 7e9, false, 0.445, true},
		"and is right afterwards": {4e9, 7e9, true, 1, false},
	} {
		for kind, d := range map[string]Domain{"reads": joules(), "changes": changes} {
			w, err := counting(t, d, c.fromNs, c.toNs, c.catchesUp).Window(from, to)
			if err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
				continue
			}
			near(t, name+", "+kind+": coverage", w.CoverageRatio, c.covered, 0.02)
			if w.Fatal() != c.fatal || code(w, CodeSampleGap) != (c.covered < 1) {
				t.Errorf("%s, %s: %+v", name, kind, w.Warnings)
			}
			if off := math.Abs(w.EnergyJ/3000.8 - 1); off > 4*w.RandomRel {
				t.Errorf("%s, %s: %.1f J are %.3f off and the error is said to be %.3f", name, kind, w.EnergyJ, off, w.RandomRel)
			}
		}
	}
}

// A counter that counted less than half of what it usually does while it stood still
// did not catch up; the time that it stood says nothing of what is usual.
func TestACounterThatCatchesUpInPart(t *testing.T) {
	for share, covered := range map[float64]float64{0.4: 0.39, 0.55: 1} {
		var samples []Sample
		value := int64(0)
		for at := int64(1e9); at <= 13e9; at += 100e6 {
			switch {
			case at == 9e9:
				value += int64(61 * 30_000 * share)
			case at <= 2.9e9 || at > 9e9:
				value += 30_000
			}
			samples = append(samples, Sample{MonoNs: at, Value: value})
		}
		w, err := trace(t, joules(), 13e9, samples...).Window(1.55e9, 11.55e9)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "coverage", w.CoverageRatio, covered, 1e-9)
	}
}

// A counter that nobody read, or of which what came is lost, was not seen to stand
// still: it went on.
func TestACounterThatNobodyReads(t *testing.T) {
	changes := joules()
	changes.ChangesOnly = true
	for _, d := range []Domain{joules(), changes} {
		b, err := NewBuilder(d)
		if err != nil {
			t.Fatal(err)
		}
		value, sequence := int64(0), uint64(0)
		for at := int64(1e9); at <= 13e9; at += 100e6 {
			unread := at > 4e9 && at <= 8e9
			if value += 30_000; unread {
				value -= 25_000 // and little is drawn
			}
			if unread && at < 8e9 {
				continue
			}
			batch := Batch{Sequence: sequence, CompleteUntilNs: at, StampsNs: []int64{at}, Values: []int64{value}}
			if unread && d.ChangesOnly {
				batch.Dropped = 39
			}
			sequence++
			b.Append(batch)
		}
		w, err := b.Snapshot().Window(1.55e9, 11.55e9)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "coverage", w.CoverageRatio, 1, 1e-9)
		near(t, "energy", w.EnergyJ, 300*6+50*4, 1e-9)
	}
}

// A device that draws less for a while makes a coarse counter rise late: nothing is
// lost where it rises by what the time before it says.
func TestACoarseCounter(t *testing.T) {
	d := joules()
	var samples []Sample
	for at := int64(0); at <= 30e9; at += 100e6 {
		samples = append(samples, Sample{MonoNs: at, Value: at / 1e9 * 300_000}) // 300 W, told once a second
	}
	w, err := trace(t, d, 30e9, samples...).Window(2.5e9, 27.5e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy", w.EnergyJ, 7500, 1e-9)
	near(t, "coverage", w.CoverageRatio, 0.96, 1e-9) // half a second in the long steps at both edges
}
