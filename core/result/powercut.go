package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sort"

	"github.com/parquet-go/parquet-go"

	"github.com/llenergymeasure/llem/core/energy"
)

// marginNs is kept on both sides of the span asked for, so that windows at
// its edges find the samples beyond them.
const marginNs = int64(10e9)

// reach is the span of the samples that windows from fromNs to toNs may look at.
func reach(d energy.Domain, periodNs, fromNs, toNs int64) (int64, int64) {
	margin := max(marginNs, 20*periodNs) + d.LagNs + d.AveragingNs
	return fromNs - margin, toNs + margin
}

func everything(energy.Domain, int64) (int64, int64) { return math.MinInt64, math.MaxInt64 }

// cutTrace is the part of a recording that is stored.
func cutTrace(t *energy.Trace, fromNs, toNs int64) energy.Stored {
	from, to := reach(t.Domain, t.PeriodNs(), fromNs, toNs)
	if t.Domain.UpdateNs == 0 {
		// The period was taken from the whole recording, and whoever plays it
		// again takes it from what is there.
		from, to = everything(t.Domain, 0)
	}
	samples := t.Samples()
	// One neighbour more on either side: a sensor that reports changes only may
	// have been silent for longer than the margin.
	first := max(0, sort.Search(len(samples), func(i int) bool { return samples[i].MonoNs >= from })-1)
	last := min(len(samples), sort.Search(len(samples), func(i int) bool { return samples[i].MonoNs > to })+1)
	s := energy.Stored{
		Domain: t.Domain, CompleteUntilNs: t.CompleteUntilNs, Dropped: t.Dropped, PeriodNs: t.PeriodNs(),
		Samples: samples[first:last],
	}
	begin := from
	if n := len(s.Samples); n > 0 {
		begin = min(from, s.Samples[0].MonoNs)
		to = max(to, s.Samples[n-1].MonoNs)
	}
	s.CompleteUntilNs = min(s.CompleteUntilNs, to)
	for _, g := range t.Gaps() {
		if g.ToNs > begin && g.FromNs < to {
			s.Gaps = append(s.Gaps, g)
		}
	}
	for _, p := range t.Problems() {
		if p.LastNs >= begin && p.FirstNs <= to {
			s.Problems = append(s.Problems, p)
		}
	}
	return s
}

// readPower reads of each domain the span that wanted gives.
func readPower(trialDir string, wanted func(d energy.Domain, periodNs int64) (fromNs, toNs int64)) (map[string]*energy.Trace, error) {
	path := filepath.Join(trialDir, powerFile)
	file, err := openSeries[powerRow](path)
	if err != nil {
		return nil, err
	}
	defer file.f.Close() //nolint:errcheck // it was only read
	notes, err := readNotes(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	parts := map[string]*part{}
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, n := range notes {
		p := &part{recording: n, before: -1}
		p.fromNs, p.toNs = wanted(n.Domain, n.PeriodNs)
		if n.PeriodNs == 0 && n.Domain.UpdateNs == 0 {
			p.fromNs, p.toNs = everything(n.Domain, 0)
		}
		parts[n.Domain.ID] = p
		if n.Domain.ChangesOnly { // the change that still holds may be hours old
			least = math.MinInt64
		}
		least, most = min(least, p.fromNs), max(most, p.toNs)
	}
	err = file.each(func(g parquet.RowGroup) (bool, error) { return overlaps(g, least, most) }, func(r powerRow) error {
		p, ok := parts[r.Domain]
		if !ok {
			return fmt.Errorf("samples of %q are not described", r.Domain)
		}
		p.add(energy.Sample{MonoNs: r.MonoNs, Value: r.Value, Epoch: r.Epoch})
		return nil
	})
	if err != nil {
		return nil, err
	}
	traces := map[string]*energy.Trace{}
	for id, p := range parts {
		if traces[id], err = p.restore(); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return traces, nil
}

func readNotes(file *seriesFile[powerRow]) ([]recording, error) {
	text, ok := file.file.Lookup(domainsKey)
	if !ok {
		return nil, fmt.Errorf("it does not describe its domains (%s), so the samples have no unit", domainsKey)
	}
	var notes []recording
	if err := json.Unmarshal([]byte(text), &notes); err != nil {
		return nil, fmt.Errorf("its description of the domains is damaged: %w", err)
	}
	return notes, nil
}

// overlaps tells by the file's own statistics whether any stamp of a group of
// rows may lie in the span.
func overlaps(g parquet.RowGroup, fromNs, toNs int64) (bool, error) {
	column, ok := g.Schema().Lookup("mono_ns")
	if !ok {
		return false, errors.New("it has no column mono_ns")
	}
	index, err := g.ColumnChunks()[column.ColumnIndex].ColumnIndex()
	if errors.Is(err, parquet.ErrMissingColumnIndex) {
		return true, nil // no statistics: read it
	}
	if err != nil {
		return false, err
	}
	for page := range index.NumPages() {
		if index.MinValue(page).Int64() <= toNs && index.MaxValue(page).Int64() >= fromNs {
			return true, nil
		}
	}
	return false, nil
}

// part is what is read of one domain.
type part struct {
	recording
	fromNs, toNs int64
	samples      []energy.Sample
	before       int  // index of the newest sample before fromNs, or -1
	beyond       bool // one sample behind toNs is there
}

// add keeps the samples of the span and a neighbour on either side.
func (p *part) add(s energy.Sample) {
	switch {
	case s.MonoNs < p.fromNs && p.before >= 0:
		p.samples[p.before] = s
	case s.MonoNs < p.fromNs:
		p.before = len(p.samples)
		p.samples = append(p.samples, s)
	case s.MonoNs <= p.toNs:
		p.samples = append(p.samples, s)
	case !p.beyond:
		p.beyond = true
		p.samples = append(p.samples, s)
	}
}

func (p *part) restore() (*energy.Trace, error) {
	s := energy.Stored{
		Domain: p.Domain, CompleteUntilNs: p.CompleteUntilNs, Dropped: p.Dropped, PeriodNs: p.PeriodNs,
		Samples: p.samples, Problems: p.Problems,
	}
	if p.beyond {
		s.CompleteUntilNs = min(s.CompleteUntilNs, p.samples[len(p.samples)-1].MonoNs)
	}
	for _, g := range p.Gaps {
		s.Gaps = append(s.Gaps, energy.Gap{FromNs: g.FromNs, ToNs: g.ToNs, Lost: g.Lost})
	}
	return energy.Restore(s)
}
