package stats

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"
)

// Arm is one configuration of a comparison: its value in every block that it ran.
type Arm struct {
	Name string
	// Values by block number.
	Values map[int]float64
}

// CodeIncompleteBlocks marks comparisons that use fewer blocks than were run.
const CodeIncompleteBlocks = "incomplete_blocks"

// CompareBlocks compares every other arm with the baseline as randomised complete
// blocks on log values, adjusted by Holm.
//
// Where all arms ran the same blocks (three or more arms, two or more blocks) and
// their spreads agree, the residual is pooled over the arms, with (b-1)(k-1)
// degrees of freedom. Otherwise each pair stands on the blocks that both have.
// Blocks that one of a pair lacks are left out and said.
func CompareBlocks(spec Spec, baseline Arm, others []Arm) ([]Comparison, error) {
	all := append([]Arm{baseline}, others...)
	for _, arm := range all {
		if err := positive(fmt.Sprintf("comparison of %s, %s", spec.Metric, arm.Name), arm.ordered(slices.Sorted(maps.Keys(arm.Values)))); err != nil {
			return nil, err
		}
	}
	pooled, unequal := poolResidual(all)
	out := make([]Comparison, 0, len(others))
	for _, arm := range others {
		shared, left := sharedBlocks(baseline, arm)
		if len(shared) == 0 {
			return nil, fmt.Errorf("comparison of %s: %s and %s share no block; compare across directories instead", spec.Metric, baseline.Name, arm.Name)
		}
		c, err := ComparePaired(spec, baseline.ordered(shared), arm.ordered(shared))
		if err != nil {
			return nil, err
		}
		if pooled.df > 0 {
			diff := math.Log(c.Ratio)
			c = newComparison(spec, MethodBlocksPool, len(shared))
			c.fill(diff, pooled.se, pooled.df)
		}
		c.Baseline, c.Candidate, c.Blocks = baseline.Name, arm.Name, shared
		if left > 0 {
			c.Warnings = append(c.Warnings, Warning{Code: CodeIncompleteBlocks, Message: otherBasis(shared, baseline, arm), Value: number(float64(left))})
		}
		if unequal {
			c.Warnings = append(c.Warnings, Warning{Code: CodeUnequalSpread, Message: "the arms differ in spread, so each pair has its own error"})
		}
		out = append(out, c)
	}
	return out, AdjustFamily(out)
}

// poolResidual is the standard error of a difference of two arms from the residual
// of all: √(2·MS/b). df is 0 where it must not be pooled; unequal says that the
// reason is unequal spread.
func poolResidual(arms []Arm) (pooled difference, unequal bool) {
	k, b := len(arms), len(arms[0].Values)
	blocks := slices.Sorted(maps.Keys(arms[0].Values))
	if k < 3 || b < 2 {
		return difference{}, false
	}
	y := make([][]float64, k)
	for i, arm := range arms {
		if !slices.Equal(slices.Sorted(maps.Keys(arm.Values)), blocks) {
			return difference{}, false
		}
		y[i] = logOf(arm.ordered(blocks))
	}
	blockMean, grand := make([]float64, b), 0.0
	for _, row := range y {
		for j, v := range row {
			blockMean[j] += v / float64(k)
			grand += v / float64(k*b)
		}
	}
	total, ofArm := 0.0, make([]float64, k)
	for i, row := range y {
		mean := Mean(row)
		for j, v := range row {
			r := v - mean - blockMean[j] + grand
			ofArm[i] += r * r
		}
		total += ofArm[i]
	}
	if !spreadsAgree(ofArm, total, b) {
		return difference{}, true
	}
	df := float64(b-1) * float64(k-1)
	return difference{se: math.Sqrt(2 * total / df / float64(b)), df: df}, false
}

// oddSpread is how often arms that spread alike may be taken for such that do not.
// More of it finds more odd arms and costs power where there is none.
const oddSpread = 0.025

// spreadsAgree asks of every arm whether its share of the residual squares is more
// than chance makes of it. Of k arms one's residual squares, by (k-1)/k, and what the
// two-way residual of the others comes to are independent, so that their ratio has an
// F distribution (Russell and Bradley 1958); the level is divided by the number of arms.
func spreadsAgree(ofArm []float64, total float64, blocks int) bool {
	k := float64(len(ofArm))
	own, others := float64(blocks-1), float64(blocks-1)*(k-2)
	limit := distuv.F{D1: own, D2: others}.Quantile(1 - oddSpread/k)
	for _, squares := range ofArm {
		squares *= k / (k - 1)
		if squares/own > limit*(total-squares)/others {
			return false
		}
	}
	return true
}

// ordered gives the arm's values in the order of blocks.
func (a Arm) ordered(blocks []int) []float64 {
	out := make([]float64, len(blocks))
	for i, b := range blocks {
		out[i] = a.Values[b]
	}
	return out
}

// otherBasis says that a ratio and the means of its two arms are not of the same
// blocks. Like all texts it counts blocks from 1.
func otherBasis(shared []int, arms ...Arm) string {
	var means []string
	for _, arm := range arms {
		if own := slices.Sorted(maps.Keys(arm.Values)); len(own) > len(shared) {
			means = append(means, fmt.Sprintf("the mean of %s is of %s", arm.Name, BlockText(own)))
		}
	}
	return fmt.Sprintf("%s / %s is of %s, which both have; %s", arms[1].Name, arms[0].Name, BlockText(shared), strings.Join(means, ", "))
}

// BlockText names sorted block numbers, from 0, as people count them: "blocks 1-3, 5".
func BlockText(blocks []int) string {
	var runs []string
	for i := 0; i < len(blocks); {
		last := i
		for last+1 < len(blocks) && blocks[last+1] == blocks[last]+1 {
			last++
		}
		run := strconv.Itoa(blocks[i] + 1)
		if last > i {
			run += "-" + strconv.Itoa(blocks[last]+1)
		}
		runs, i = append(runs, run), last+1
	}
	if len(blocks) == 1 {
		return "block " + runs[0]
	}
	return "blocks " + strings.Join(runs, ", ")
}

// sharedBlocks lists the blocks that both arms ran, and counts the others.
func sharedBlocks(a, b Arm) (shared []int, left int) {
	for _, block := range slices.Sorted(maps.Keys(a.Values)) {
		if _, ok := b.Values[block]; ok {
			shared = append(shared, block)
		}
	}
	return shared, len(a.Values) + len(b.Values) - 2*len(shared)
}
