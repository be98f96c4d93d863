package report

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// Variance says where the spread of J/token comes from in the cells of one
// workload and model, on whatever cards of one kind, and what would lessen it.
type Variance struct {
	// Cells by index into Summary.Cells.
	Cells []int `json:"cells"`
	// Components pools the windows of a load and the loads of all cells; what
	// blocks share is in that between loads. nil with one window a load.
	Components *stats.Components `json:"components,omitempty"`
	// Spread tells blocks, loads and cards apart. nil with fewer than two cells
	// that share two blocks.
	Spread *stats.Spread `json:"spread,omitempty"`
	Advice *Advice       `json:"advice,omitempty"`
}

// Advice is what more loads or windows would buy, were the spreads just those that
// were seen. Half-widths are of one cell's 95 % interval, as fractions.
type Advice struct {
	// Loads of a cell and Windows of a load, the medians.
	Loads   int `json:"loads"`
	Windows int `json:"windows"`
	// NowRel is the half-width with these, TwiceLoadsRel with twice the loads, and
	// MoreWindowsRel with one more window a load; nil where windows cannot be told
	// from loads.
	NowRel         float64  `json:"now_rel"`
	TwiceLoadsRel  float64  `json:"twice_loads_rel"`
	MoreWindowsRel *float64 `json:"more_windows_rel,omitempty"`
	// LoadS is what a load takes besides its windows, and WindowS a window: medians
	// over trials, in seconds.
	LoadS   float64 `json:"load_s"`
	WindowS float64 `json:"window_s"`
	// EfficientWindows of a load give the narrowest interval for the time; 0 = no
	// spread between loads was seen, so windows are as good as loads. nil = unknown.
	EfficientWindows *int `json:"efficient_windows,omitempty"`
}

// variances splits the spread of all cells that have numbers of several loads.
func variances(cells []Cell) []Variance {
	type family struct{ work, model, shape string }
	var order []family
	members := map[family][]int{}
	for i, c := range cells {
		// Where all values are equal there is no spread to explain.
		if e, ok := c.Estimate(MetricEnergyPerToken); !ok || c.Grouped || e.Has(stats.CodeDegenerate) {
			continue
		}
		f := family{c.WorkHash, c.Model, shapeOfBoundary(c.loads[0])}
		if members[f] == nil {
			order = append(order, f)
		}
		members[f] = append(members[f], i)
	}
	var out []Variance
	for _, f := range order {
		v := Variance{Cells: members[f]}
		var loads [][][]float64
		var trials []result.Trial
		for _, i := range v.Cells {
			loads = append(loads, cells[i].perToken())
			trials = append(trials, cells[i].loads...)
		}
		v.Components = stats.PooledComponents(loads)
		v.Spread = spreadOf(cells, v.Cells)
		v.Advice = adviceOf(v.Components, loads, trials)
		if v.Components != nil || v.Spread != nil || v.Advice != nil {
			out = append(out, v)
		}
	}
	return out
}

// perToken is J/token by load and window.
func (c Cell) perToken() [][]float64 {
	out := make([][]float64, len(c.loads))
	for i, t := range c.loads {
		for _, w := range t.Windows {
			out[i] = append(out[i], *w.EnergyPerOutputTokenJ)
		}
	}
	return out
}

// spreadOf takes the rows of one cell on several cards as one arm: the card is a
// factor of the spread.
func spreadOf(cells []Cell, members []int) *stats.Spread {
	type place struct {
		cell  string
		block int
	}
	cards := map[place]string{}
	var arms []stats.Arm
	for _, i := range members {
		c := cells[i]
		at := slices.IndexFunc(arms, func(a stats.Arm) bool { return a.Name == c.ID })
		if at < 0 {
			at = len(arms)
			arms = append(arms, stats.Arm{Name: c.ID, Values: map[int]float64{}})
		}
		for block, value := range c.arm().Values {
			arms[at].Values[block] = value
		}
		for _, t := range c.loads {
			cards[place{c.ID, t.Block}] = cardOf(t)
		}
	}
	return stats.SpreadOf(arms, func(arm string, block int) string { return cards[place{arm, block}] })
}

// headlineOf are the domains that the headline adds up.
func headlineOf(t result.Trial) []energy.Domain {
	var out []energy.Domain
	for _, s := range t.Sources {
		for _, d := range s.Domains {
			if slices.Contains(t.Headline, d.ID) {
				out = append(out, d)
			}
		}
	}
	return out
}

func shapeOfBoundary(t result.Trial) string {
	return cmp.Or(energy.BoundaryOf(headlineOf(t)...).Shape(), t.Boundary)
}

// cardOf names the GPUs of the headline by UUID. Other devices are called alike on
// every machine, so there the machine's name stands for them; "" = unknown.
func cardOf(t result.Trial) string {
	if strings.Contains(t.Boundary, energy.KindGPU) {
		return t.Boundary
	}
	return t.Host
}

func adviceOf(c *stats.Components, loads [][][]float64, trials []result.Trial) *Advice {
	var count, windows, loadS, windowS []float64
	for _, cell := range loads {
		count = append(count, float64(len(cell)))
	}
	for _, t := range trials {
		loadSeconds, windowSeconds := costOf(t)
		windows, loadS, windowS = append(windows, float64(len(t.Windows))), append(loadS, loadSeconds), append(windowS, windowSeconds)
	}
	a := &Advice{
		Loads: int(stats.Median(count)), Windows: int(stats.Median(windows)),
		LoadS: stats.Median(loadS), WindowS: stats.Median(windowS),
	}
	known := c != nil
	if !known {
		sd, ok := betweenLoads(loads)
		if !ok {
			return nil
		}
		c = &stats.Components{BetweenRel: sd}
	}
	if a.Loads < 2 {
		return nil
	}
	a.NowRel, a.TwiceLoadsRel = c.HalfWidthRel(a.Loads, a.Windows), c.HalfWidthRel(2*a.Loads, a.Windows)
	if known {
		more, most := c.HalfWidthRel(a.Loads, a.Windows+1), c.EfficientWindows(a.LoadS, a.WindowS)
		a.MoreWindowsRel, a.EfficientWindows = &more, &most
	}
	return a
}

// betweenLoads is the spread of loads with that of their windows in it, pooled
// over cells.
func betweenLoads(cells [][][]float64) (sd float64, ok bool) {
	sum, df := 0.0, 0
	for _, loads := range cells {
		if len(loads) < 2 {
			continue
		}
		var means []float64
		for _, windows := range loads {
			means = append(means, stats.Mean(windows))
		}
		cv := stats.CV(means)
		sum += cv * cv * float64(len(loads)-1)
		df += len(loads) - 1
	}
	if df == 0 {
		return 0, false
	}
	return math.Sqrt(sum / float64(df)), true
}

// costOf is what a trial took besides its windows, from its begin to its end, and
// what a window of it took, in seconds. The two stamps of the calendar have whole
// seconds; where they say less than the parts that have stamps of their own, these
// are taken.
func costOf(t result.Trial) (loadS, windowS float64) {
	for _, w := range t.Windows {
		windowS += float64(w.DurationNs()) / 1e9
	}
	if began, err := time.Parse(time.RFC3339, t.StartedUTC); err == nil {
		if ended, err := time.Parse(time.RFC3339, t.FinishedUTC); err == nil {
			loadS = ended.Sub(began).Seconds() - windowS
		}
	}
	var parts int64
	if t.Load != nil {
		parts += t.Load.EndNs - t.Load.BeginNs
	}
	if t.Idle != nil {
		parts += t.Idle.ToNs - t.Idle.FromNs
	}
	if t.WarmUp != nil {
		parts += t.WarmUp.EndNs - t.WarmUp.BeginNs
	}
	if t.Conditioning != nil {
		parts += t.Conditioning.ToNs - t.Conditioning.FromNs
	}
	return max(loadS, float64(parts)/1e9), windowS / float64(max(1, len(t.Windows)))
}
