package energy

import (
	"fmt"
	"math"
	"slices"
)

// Span is a part of a window, such as one pass of several.
type Span struct{ FromNs, ToNs int64 }

// Spans computes the energy of the spans alone, of what lies between the first
// begin and the last end. Spans are rising and do not overlap; what lies between
// two of them is idle. EnergyJ is of the spans, MeanPowerW is over their time.
//
// A sensor that covers all time is integrated over each span. One that looks at
// part of it ([Trace.Duty] below 1) cannot be: its samples are further apart than
// the idle times are long, so a line between two of them lets idle power leak into
// the spans. There each sample is taken for what its aperture saw: the part of it
// that lay in a span is held against the idle power that samples wholly between
// spans show, and the mean of those parts stands for all time in spans. That is
// unbiased if the idle times are random, so that each span meets the sensor at
// another phase.
func (t *Trace) Spans(spans []Span) (Window, error) {
	q := query{t: t.plausible()}
	if len(spans) == 0 {
		return Window{}, q.fail(CodeBadSpan, "no spans are given")
	}
	q.from, q.to = spans[0].FromNs, spans[len(spans)-1].ToNs
	var lengthNs int64
	for i, s := range spans {
		if s.ToNs <= s.FromNs || i > 0 && s.FromNs < spans[i-1].ToNs {
			return Window{}, q.fail(CodeBadSpan, fmt.Sprintf("span %d is empty, reversed or begins before the one before it ends", i))
		}
		lengthNs += s.ToNs - s.FromNs
	}
	var w Window
	var err error
	// Of an unknown aperture nobody can say what it saw.
	if duty, known := t.Duty(); known && duty < 1 {
		w, err = q.apertures(spans, lengthNs)
	} else {
		w, err = t.sumOf(spans)
	}
	if err != nil {
		return Window{}, q.diagnose(err)
	}
	w.FromNs, w.ToNs = q.from, q.to
	w.MeanPowerW = w.EnergyJ / seconds(lengthNs)
	return w, nil
}

// sumOf adds the windows of the spans. Their edges fall anywhere between two
// samples, so the random errors are independent.
func (t *Trace) sumOf(spans []Span) (Window, error) {
	var out Window
	var random, covered float64
	for i, s := range spans {
		w, err := t.Window(s.FromNs, s.ToNs)
		if err != nil {
			return Window{}, err
		}
		if i == 0 {
			out = w
			out.EnergyJ, out.Samples, out.Warnings = 0, 0, nil
		}
		out.EnergyJ += w.EnergyJ
		out.Samples += w.Samples
		random = math.Hypot(random, w.RandomRel*w.EnergyJ)
		covered += w.CoverageRatio / float64(len(spans))
		for _, x := range w.Warnings {
			if !slices.ContainsFunc(out.Warnings, func(o Warning) bool { return o.Code == x.Code && o.Severity == x.Severity }) {
				out.Warnings = append(out.Warnings, x)
			}
		}
	}
	out.RandomRel, out.CoverageRatio = random/out.EnergyJ, covered
	return out, nil
}

// apertures estimates the mean power in the spans from what each sample saw.
func (q *query) apertures(spans []Span, lengthNs int64) (Window, error) {
	// The whole span tells whether the recording reaches it and has holes.
	w, err := q.t.Window(q.from, q.to)
	if err != nil {
		return Window{}, err
	}
	type seen struct{ value, share float64 }
	var in []seen
	var idle, idles float64
	d, at := q.t.Domain, 0
	for _, s := range q.t.samples {
		end := s.MonoNs - d.LagNs
		begin := end - d.AveragingNs
		if begin < q.from || end > q.to {
			continue
		}
		for at < len(spans)-1 && spans[at].ToNs <= begin {
			at++
		}
		var inside int64
		for k := at; k < len(spans) && spans[k].FromNs < end; k++ {
			inside += max(0, min(end, spans[k].ToNs)-max(begin, spans[k].FromNs))
		}
		if inside == 0 {
			idle += float64(s.Value)
			idles++
			continue
		}
		in = append(in, seen{float64(s.Value), float64(inside) / float64(d.AveragingNs)})
	}
	var sum, shares float64
	for _, s := range in {
		switch {
		case s.share == 1:
			sum += s.value
		case idles == 0:
			continue // nothing tells the idle part of it
		default:
			sum += s.value - (1-s.share)*idle/idles
		}
		shares += s.share
	}
	if shares == 0 {
		return Window{}, q.fail(CodeNoSamples, "no sample looked into a span")
	}
	w.EnergyJ = sum / shares * d.unit() * seconds(lengthNs)
	if !(w.EnergyJ > 0) {
		return Window{}, q.fail(CodeZeroOrBackwards, fmt.Sprintf("the samples in the spans add up to %g J", w.EnergyJ))
	}
	w.Method = MethodApertures
	w.Samples = len(in)
	// Each span meets the sensor at a phase of its own, so that the errors are random
	// and average. What holes in the recording cost stays.
	duty, _ := q.t.Duty()
	alias := aliasRel(duty) / 1.96 / math.Sqrt(float64(len(spans)))
	w.AliasRel = 0
	w.RandomRel = math.Hypot(alias, (1-min(1, w.CoverageRatio/duty))/math.Sqrt(3))
	w.Warnings = slices.DeleteFunc(slices.Clone(w.Warnings), func(x Warning) bool { return x.Code == CodeDutySampled })
	w.Warnings = append(w.Warnings, Warning{Code: CodeDutySampled, Severity: SeverityInfo, Domain: d.ID, Message: fmt.Sprintf(
		"the sensor looks at %.0f %% of the time; idle times of random length between %d passes keep the load out of step with it, and are taken out", 100*duty, len(spans))})
	return w, nil
}
