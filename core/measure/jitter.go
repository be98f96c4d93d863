package measure

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
)

// A sensor that looks at part of all time misreads a load in step with it, by
// several percent and however long one measures. Where the headline has such a
// sensor, static batches get idle time of random length between their passes, so
// that each pass meets the sensor at another phase. Time and joules of these gaps
// are taken out of the windows.

// leastGappedPasses is how many passes a window with gaps needs for their phases
// to average.
const leastGappedPasses = 10

// gaps asks for random gaps of up to the sensor's update period where they help.
func (t *trial) gaps(spec *sdk.RunSpec) {
	var headline []energy.Domain
	for _, d := range t.recorder.timed() {
		if slices.Contains(t.record.Headline, d.ID) {
			headline = append(headline, d)
		}
	}
	mostNs, doubts := wantedGaps(spec.Loop, headline, t.backend.Description().Features)
	if t.record.Warnings = append(t.record.Warnings, doubts...); mostNs > 0 {
		spec.GapNsMost = mostNs
		spec.GapSeed = gapSeed(t.cell.Workload.Seed, t.record.Block, t.cell.ID)
	}
}

// timed lists all domains, each with the update period that its recording shows
// where it states none: without it nobody knows how much of the time a sensor looks.
func (r *recorder) timed() []energy.Domain {
	list, traces := r.domains(), r.traces()
	for i, d := range list {
		list[i] = traces[d.ID].Timed()
	}
	return list
}

// wantedGaps is the length of the longest gap, 0 for none. Other loops than static
// batches have no passes to put gaps between.
func wantedGaps(loop sdk.Loop, headline []energy.Domain, features []string) (mostNs int64, doubts []energy.Warning) {
	if loop != sdk.LoopBatch {
		return 0, nil
	}
	var sensor energy.Domain
	share := 1.0
	for _, d := range headline {
		// Of an unknown aperture nobody can say what it saw of a pass.
		if duty, known := d.Duty(0); known && duty < 1 && d.UpdateNs > sensor.UpdateNs {
			sensor, share = d, duty
		}
	}
	if sensor.UpdateNs > 0 && !slices.Contains(features, sdk.FeaturePassGaps) {
		return 0, []energy.Warning{{Code: "no_pass_gaps", Severity: energy.SeverityWarning, Domain: sensor.ID, Message: fmt.Sprintf(
			"%s looks at %.0f %% of the time, and the backend cannot make the random gaps between passes that would keep them out of step with it (feature %q)", sensor.ID, 100*share, sdk.FeaturePassGaps)}}
	}
	return sensor.UpdateNs, nil
}

// gapSeed gives each trial gaps of its own, the same whenever it is run again.
func gapSeed(seed int64, block int, cell string) uint32 {
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%d/%d/%s", seed, block, cell) // never fails
	return h.Sum32()
}

// takeGapsOut makes a cut of whole passes one of their time alone.
func (c *cut) takeGapsOut(passes []sdk.PassRecord) {
	c.GapsNs = c.ToNs - c.FromNs
	for _, p := range passes {
		c.Spans = append(c.Spans, energy.Span{FromNs: p.BeginNs, ToNs: p.EndNs})
		c.GapsNs -= p.EndNs - p.BeginNs
	}
}

// energy is what a domain used in the cut, without its gaps.
func (c cut) energy(trace *energy.Trace) (energy.Window, error) {
	if len(c.Spans) > 0 {
		return trace.Spans(c.Spans)
	}
	return trace.Window(c.FromNs, c.ToNs)
}

// fewPasses says that the gaps of a window are too few to help.
func (c cut) fewPasses() []energy.Warning {
	if len(c.Spans) == 0 || len(c.Spans) >= leastGappedPasses {
		return nil
	}
	return []energy.Warning{{Code: "few_gapped_passes", Severity: energy.SeverityWarning, Message: fmt.Sprintf(
		"the window has %d passes with random gaps between them, and %d or more keep a load out of step with its sensor; lengthen protocol.window_s or lower workload.requests", len(c.Spans), leastGappedPasses)}}
}
