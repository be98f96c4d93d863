package stats

import (
	"maps"
	"math"
	"slices"
)

// Spread is where the variance of a study's loads comes from beyond its cells, as
// standard deviations relative to the value: what whole blocks share, what single
// loads add, and what cards differ by.
type Spread struct {
	// Cells and Blocks that entered: those that are complete.
	Cells  int `json:"cells"`
	Blocks int `json:"blocks"`
	// LoadRel is the spread of single loads, with that of the mean of their windows
	// in it; BlockRel that of blocks beyond it, 0 where none is seen.
	LoadRel    float64 `json:"load_rel"`
	LoadLoRel  float64 `json:"load_lo_rel"`
	LoadHiRel  float64 `json:"load_hi_rel"`
	BlockRel   float64 `json:"block_rel"`
	BlockLoRel float64 `json:"block_lo_rel"`
	BlockHiRel float64 `json:"block_hi_rel"`

	// Cards is nil when all loads ran on one card, or on one set of them.
	Cards *CardSpread `json:"cards,omitempty"`
}

// CardSpread is the spread between cards, within which loads differ by WithinRel.
type CardSpread struct {
	Cards     int     `json:"cards"`
	CardRel   float64 `json:"card_rel"`
	CardLoRel float64 `json:"card_lo_rel"`
	CardHiRel float64 `json:"card_hi_rel"`
}

// SpreadOf splits the variance of loads over cells and blocks, as an analysis of
// two ways without repeats on log values: cells are fixed, blocks random. It needs
// two cells and two blocks that are complete, and gives nil otherwise: with a
// single cell, block and load are one and the same.
//
// cards names the card that an arm ran on in a block, or is nil.
func SpreadOf(arms []Arm, cards func(arm string, block int) string) *Spread {
	blocks := completeBlocks(arms)
	k, b := len(arms), len(blocks)
	if k < 2 || b < 2 {
		return nil
	}
	residual := make([][]float64, k) // of log values after their cell's mean
	blockMean := make([]float64, b)
	for i, arm := range arms {
		row := arm.ordered(blocks)
		if positive("", row) != nil {
			return nil
		}
		row = logOf(row)
		mean := Mean(row)
		for j := range row {
			row[j] -= mean
			blockMean[j] += row[j] / float64(k)
		}
		residual[i] = row
	}
	var between, within float64
	for j := range blocks {
		between += float64(k) * blockMean[j] * blockMean[j]
		for i := range arms {
			d := residual[i][j] - blockMean[j]
			within += d * d
		}
	}
	blockDF, loadDF := float64(b-1), float64((b-1)*(k-1))
	msb, msw := between/blockDF, within/loadDF
	root := func(v float64) float64 { return math.Sqrt(math.Max(0, v)) }
	s := &Spread{
		Cells: k, Blocks: b, LoadRel: root(msw), BlockRel: root((msb - msw) / float64(k)),
		LoadLoRel: root(msw * loadDF / chi2(0.975, loadDF)), LoadHiRel: root(msw * loadDF / chi2(0.025, loadDF)),
	}
	lo, hi := betweenBounds(msb, msw, blockDF, loadDF)
	s.BlockLoRel, s.BlockHiRel = root(lo/float64(k)), root(hi/float64(k))
	if cards != nil {
		s.Cards = cardSpread(arms, blocks, residual, cards)
	}
	return s
}

// cardSpread groups the loads, less their cell's mean, by card.
func cardSpread(arms []Arm, blocks []int, residual [][]float64, cards func(string, int) string) *CardSpread {
	groups := map[string][]float64{}
	for i, arm := range arms {
		for j, block := range blocks {
			card := cards(arm.Name, block)
			if card == "" {
				return nil
			}
			groups[card] = append(groups[card], 1+residual[i][j]) // around 1, to be relative
		}
	}
	var loads [][]float64
	for _, card := range slices.Sorted(maps.Keys(groups)) {
		loads = append(loads, groups[card])
	}
	c := componentsOf(loads)
	if c == nil {
		return nil
	}
	return &CardSpread{Cards: len(loads), CardRel: c.BetweenRel, CardLoRel: c.BetweenLoRel, CardHiRel: c.BetweenHiRel}
}

// completeBlocks are the blocks that every arm ran.
func completeBlocks(arms []Arm) []int {
	if len(arms) == 0 {
		return nil
	}
	var out []int
	for _, block := range slices.Sorted(maps.Keys(arms[0].Values)) {
		if !slices.ContainsFunc(arms, func(a Arm) bool { _, ok := a.Values[block]; return !ok }) {
			out = append(out, block)
		}
	}
	return out
}
