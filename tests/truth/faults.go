package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/core/energy"
)

// spoil is one thing that happens to a recording, at sample i of it.
type spoil struct {
	name   string
	sensor int // index into sensors
	apply  func(samples []energy.Sample, i int) []energy.Sample
	seen   bool // it must be warned of, harmless or not
	hidden bool // it is known to pass unsaid
}

// cut loses n samples in silence.
func cut(n int) func([]energy.Sample, int) []energy.Sample {
	return func(s []energy.Sample, i int) []energy.Sample { return append(s[:i:i], s[i+n:]...) }
}

// step moves all later stamps, as a wall clock does that is set.
func step(ns int64) func([]energy.Sample, int) []energy.Sample {
	return func(s []energy.Sample, i int) []energy.Sample {
		for ; i < len(s); i++ {
			s[i].MonoNs += ns
		}
		return s
	}
}

func spoils() []spoil {
	const ms = int64(1e6)
	list := []spoil{
		{name: "ring: 2 samples lost", apply: cut(2)},
		{name: "ring: 5 samples lost", apply: cut(5), seen: true},
		{name: "ring: 50 samples lost", apply: cut(50), seen: true},
		{name: "counter: 10 reads lost", sensor: 2, apply: cut(10)},
		{name: "counter: 100 reads lost", sensor: 2, apply: cut(100)},
		{name: "counter: restarts", sensor: 2, seen: true, apply: func(s []energy.Sample, i int) []energy.Sample {
			first := s[i].Value
			for ; i < len(s); i++ {
				s[i].Value -= first
			}
			return s
		}},
	}
	for _, by := range []int64{-5000, -500, -100, 60, 500, 5000} {
		list = append(list, spoil{name: fmt.Sprintf("ring: clock set by %+d ms", by), apply: step(by * ms), seen: true})
	}
	return append(list,
		spoil{name: "ring: clock set by -15 ms (less than a period)", apply: step(-15 * ms), hidden: true},
		spoil{name: "ring: clock set by +35 ms (less than three periods)", apply: step(35 * ms), hidden: true})
}

// verdictOf a spoiled window.
type verdictOf struct {
	said    bool // refused, or marked with a warning
	right   bool // within three modelled standard deviations
	offRel  float64
	refused bool
}

// faults spoils recordings in the middle of a window of 10 s and asks that no wrong
// joule comes unsaid.
func faults(e effort) (report, error) {
	var out report
	for k, f := range spoils() {
		found, err := each(e.studies/10, 4000+uint64(k), func(r *rand.Rand, _ int) (verdictOf, error) { return spoiled(f, r) })
		if err != nil {
			return report{}, err
		}
		good, refused, worst := 0, 0, 0.0
		for _, v := range found {
			if v.said || v.right && !f.seen {
				good++
			}
			if v.refused {
				refused++
			} else {
				worst = max(worst, math.Abs(v.offRel))
			}
		}
		name := "warned, refused or right within 3 sd, " + f.name
		if f.seen {
			name = "warned or refused, " + f.name
		}
		fig := percent("T2", name, float64(good)/float64(len(found)))
		switch {
		case f.seen:
			fig = fig.atLeast(100)
		case !f.hidden: // of normal errors 99.7 % lie within 3 sd
			fig = fig.atLeast(99)
		}
		fig.note = fmt.Sprintf("refused %.0f %%, worst error of the others %.2f %%", 100*float64(refused)/float64(len(found)), 100*worst)
		out.figures = append(out.figures, fig)
	}
	return out, nil
}

func spoiled(f spoil, r *rand.Rand) (verdictOf, error) {
	s := sensors()[f.sensor]
	w := newWave(20 * second)
	server.run(w, 48, nil)
	t, err := s.record(w, w.bounds[0], w.end(), fault{}, r)
	if err != nil {
		return verdictOf{}, err
	}
	from := w.bounds[0] + 6*second + r.Int64N(second)
	to := from + 10*second
	samples := append([]energy.Sample(nil), t.Samples()...)
	// Somewhere well inside, so that no fault falls between two windows.
	share := float64(from-samples[0].MonoNs+second+r.Int64N(7*second)) / float64(samples[len(samples)-1].MonoNs-samples[0].MonoNs)
	samples = f.apply(samples, int(share*float64(len(samples))))
	if t, err = energy.NewTrace(s.domain, samples, w.end()+10*second); err != nil {
		return verdictOf{}, err
	}
	window, err := t.Window(from, to)
	if errors.Is(err, energy.ErrInvalid) {
		return verdictOf{said: true, refused: true}, nil
	}
	if err != nil {
		return verdictOf{}, err
	}
	v := verdictOf{offRel: window.EnergyJ/w.between(from, to) - 1}
	v.right = math.Abs(v.offRel) <= 3*window.RandomRel
	for _, x := range window.Warnings {
		v.said = v.said || x.Severity != energy.SeverityInfo
	}
	return v, nil
}
