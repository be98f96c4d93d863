package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Components splits the spread of windows grouped by load (one-way random
// effects, method of moments).
type Components struct {
	// Loads and Windows are the counts; WindowsPerLoad is the effective number of
	// windows per load (the common number, or less than the mean when unequal).
	Loads          int     `json:"loads"`
	Windows        int     `json:"windows"`
	WindowsPerLoad float64 `json:"windows_per_load"`
	// WithinRel and BetweenRel are standard deviations as fractions of the mean:
	// between windows of one load, and between loads beyond what their windows
	// explain. BetweenRel is 0 where the moment estimate is negative.
	WithinRel  float64 `json:"within_rel"`
	BetweenRel float64 `json:"between_rel"`
	// The 95 % bounds of both. Few loads say little of the spread between them: a
	// lower bound of 0 means that none is proved.
	WithinLoRel  float64 `json:"within_lo_rel"`
	WithinHiRel  float64 `json:"within_hi_rel"`
	BetweenLoRel float64 `json:"between_lo_rel"`
	BetweenHiRel float64 `json:"between_hi_rel"`
}

// componentsOf needs two loads and more windows than loads; nil otherwise.
func componentsOf(loads [][]float64) *Components { return PooledComponents([][][]float64{loads}) }

// PooledComponents are those of several cells together: by cell, the windows of
// each load. Every cell is taken relative to its own mean, so that what cells
// differ by is in no component. What blocks share is in that between loads. nil
// where no cell has two loads, or no load two windows.
//
// With the mean squares MSB between and MSW within, summed over cells, and
// n0 = Σ(N - Σn²/N)/Σ(k-1), the variance between loads is (MSB-MSW)/n0 (Searle,
// Casella, McCulloch 1992).
func PooledComponents(cells [][][]float64) *Components {
	var k, total int
	var weight, between, within, betweenDF float64
	for _, loads := range cells {
		n, squares, sum := 0, 0, 0.0
		for _, l := range loads {
			n += len(l)
			squares += len(l) * len(l)
			for _, v := range l {
				sum += v
			}
		}
		if n == 0 || sum == 0 {
			continue
		}
		grand := sum / float64(n)
		for _, l := range loads {
			if len(l) == 0 {
				continue
			}
			k++
			m := Mean(l)/grand - 1
			between += float64(len(l)) * m * m
			for _, v := range l {
				d := v/grand - 1 - m
				within += d * d
			}
		}
		total += n
		betweenDF--
		weight += float64(n) - float64(squares)/float64(n)
	}
	betweenDF += float64(k)
	if betweenDF < 1 || total <= k {
		return nil
	}
	withinDF := float64(total - k)
	msb, msw, n0 := between/betweenDF, within/withinDF, weight/betweenDF
	rel := func(variance float64) float64 { return math.Sqrt(math.Max(0, variance)) }
	c := &Components{
		Loads: k, Windows: total, WindowsPerLoad: n0,
		WithinRel: rel(msw), BetweenRel: rel((msb - msw) / n0),
	}
	c.WithinLoRel, c.WithinHiRel = rel(msw*withinDF/chi2(0.975, withinDF)), rel(msw*withinDF/chi2(0.025, withinDF))
	lo, hi := betweenBounds(msb, msw, betweenDF, withinDF)
	c.BetweenLoRel, c.BetweenHiRel = rel(lo/n0), rel(hi/n0)
	return c
}

// betweenBounds are 95 % bounds of n0 times a variance between groups, after
// Williams (1962) and Tukey (1951): [MSB - MSW*F(p)] / (chi2(p)/df) at both tails.
// They cover 95 % or a little more.
func betweenBounds(msb, msw, betweenDF, withinDF float64) (lo, hi float64) {
	f := distuv.F{D1: betweenDF, D2: withinDF}
	at := func(p float64) float64 {
		return (msb - msw*f.Quantile(p)) / (chi2(p, betweenDF) / betweenDF)
	}
	return at(0.975), at(0.025)
}

func chi2(p, df float64) float64 { return distuv.ChiSquared{K: df}.Quantile(p) }

// HalfWidthRel is the half-width of the interval that so many loads of so many
// windows would have, were the spreads just these: t times the standard error
// √(between²/loads + within²/(loads·windows)). At least two loads and one window.
func (c Components) HalfWidthRel(loads, windows int) float64 {
	k, n := float64(max(2, loads)), float64(max(1, windows))
	return tTwoSided(k-1) * math.Sqrt(c.BetweenRel*c.BetweenRel/k+c.WithinRel*c.WithinRel/(k*n))
}

// EfficientWindows is the number of windows per load that gives the narrowest
// interval for the time: √(within²/between² · loadS/windowS), where loadS is what a
// load takes besides its windows (Cochran, Sampling Techniques, two stages). 0
// where no spread between loads was seen, so that windows are as good as loads.
func (c Components) EfficientWindows(loadS, windowS float64) int {
	if c.BetweenRel <= 0 || !(windowS > 0) || !(loadS >= 0) {
		return 0
	}
	n := c.WithinRel / c.BetweenRel * math.Sqrt(loadS/windowS)
	return int(max(1, min(math.Round(n), 1000)))
}
