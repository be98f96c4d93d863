package stats

import (
	"fmt"
	"math"
	"testing"
)

// The bounds of both components hold the truth in about 95 % of studies.
func TestComponentsBoundsCover(t *testing.T) {
	rng := splitmix64(7)
	normal := func() float64 { return normalQuantile((float64(rng.next()>>11) + 0.5) / (1 << 53)) }
	const studies, loads, windows = 2000, 6, 3
	for _, c := range []struct{ within, between float64 }{{0.004, 0.008}, {0.005, 0.002}, {0.004, 0}} {
		var within, between int
		for range studies {
			values := make([][]float64, loads)
			for i := range values {
				load := 1 + c.between*normal()
				for range windows {
					values[i] = append(values[i], load+c.within*normal())
				}
			}
			got := componentsOf(values)
			if got.WithinLoRel <= c.within && c.within <= got.WithinHiRel {
				within++
			}
			if got.BetweenLoRel <= c.between && c.between <= got.BetweenHiRel {
				between++
			}
		}
		for name, hits := range map[string]int{"within": within, "between": between} {
			if share := float64(hits) / studies; share < 0.935 || share > 0.99 {
				t.Errorf("within %g, between %g: bounds of %s cover %.3f", c.within, c.between, name, share)
			}
		}
	}
}

func TestEfficientWindows(t *testing.T) {
	c := Components{WithinRel: 0.0047, BetweenRel: 0.0041}
	// Nine fresh starts of a real server: two windows when a load costs ten.
	if n := c.EfficientWindows(100, 30); n != 2 {
		t.Errorf("%d windows", n)
	}
	if n := c.EfficientWindows(0, 30); n != 1 {
		t.Errorf("free loads want 1 window, got %d", n)
	}
	if n := (Components{WithinRel: 0.01}).EfficientWindows(100, 30); n != 0 {
		t.Errorf("no spread between loads: %d", n)
	}
	if a, b := c.HalfWidthRel(5, 2), c.HalfWidthRel(10, 2); !(b < a/math.Sqrt2) {
		t.Errorf("ten loads %g, five %g", b, a)
	}
	near(t, "half-width", c.HalfWidthRel(5, 2), tTwoSided(4)*math.Sqrt(0.0041*0.0041/5+0.0047*0.0047/10), 1e-12)
}

// simulated studies of three cells over eight blocks.
func TestSpreadFindsBlocksAndCards(t *testing.T) {
	rng := splitmix64(11)
	normal := func() float64 { return normalQuantile((float64(rng.next()>>11) + 0.5) / (1 << 53)) }
	const studies, loadSD, blockSD, cardSD = 1500, 0.003, 0.006, 0.02
	var load, block, card, blockHits, loadHits float64
	for range studies {
		onCard := []float64{cardSD * normal(), cardSD * normal(), cardSD * normal(), cardSD * normal()}
		var plain, cards []Arm
		for i := range 3 {
			plain = append(plain, Arm{Name: fmt.Sprint(i), Values: map[int]float64{}})
			cards = append(cards, Arm{Name: fmt.Sprint(i), Values: map[int]float64{}})
		}
		for b := range 8 {
			shared := blockSD * normal()
			for i := range plain {
				own := loadSD * normal()
				plain[i].Values[b] = float64(i+1) * math.Exp(shared+own)
				cards[i].Values[b] = float64(i+1) * math.Exp(own+onCard[b%4])
			}
		}
		s := SpreadOf(plain, nil)
		load, block = load+s.LoadRel*s.LoadRel/studies, block+s.BlockRel*s.BlockRel/studies
		if s.BlockLoRel <= blockSD && blockSD <= s.BlockHiRel {
			blockHits += 1.0 / studies
		}
		if s.LoadLoRel <= loadSD && loadSD <= s.LoadHiRel {
			loadHits += 1.0 / studies
		}
		c := SpreadOf(cards, func(_ string, b int) string { return fmt.Sprint("card ", b%4) })
		card += c.Cards.CardRel * c.Cards.CardRel / studies
	}
	near(t, "load", math.Sqrt(load), loadSD, 0.03)
	near(t, "block", math.Sqrt(block), blockSD, 0.05)
	near(t, "card", math.Sqrt(card), cardSD, 0.08)
	if blockHits < 0.93 || loadHits < 0.93 {
		t.Errorf("bounds cover %.3f of blocks, %.3f of loads", blockHits, loadHits)
	}
}

func TestSpreadNeedsCompleteBlocks(t *testing.T) {
	one := Arm{Name: "a", Values: map[int]float64{0: 1, 1: 2}}
	for name, arms := range map[string][]Arm{
		"none":        nil,
		"one cell":    {one},
		"one block":   {one, {Name: "b", Values: map[int]float64{1: 1}}},
		"not a value": {one, {Name: "b", Values: map[int]float64{0: 0, 1: 1}}},
	} {
		if s := SpreadOf(arms, nil); s != nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s := SpreadOf([]Arm{one, one}, func(string, int) string { return "one card" }); s == nil || s.Cards != nil {
		t.Errorf("one card: %+v", s)
	}
}
