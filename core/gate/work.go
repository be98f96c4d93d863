package gate

import (
	"math"

	"github.com/llenergymeasure/llem/core/energy"
)

// Limits of a window and of the work in it, in the units of their names.
const (
	leastWindowS    = 2.0  // MLPerf Power and Zeus: shorter ones are unstable
	shortWindowS    = 10.0 // below, the edges weigh more than 0.4 %
	leastPeriods    = 20.0
	standardWindowS = 30.0 // ML.ENERGY: steady state
	publicationS    = 60.0 // MLPerf Power
	mostMismatchPct = 1.0
	cappedPct       = 30.0 // ML.ENERGY
	leastBatchPct   = 80.0
	lagPct          = 2.0
	lagFatalPct     = 5.0
	lagErrors       = 3.0
)

func windowShort(j *judging) {
	for i, w := range j.Windows {
		j.saw()
		s := w.seconds()
		switch {
		case s < leastWindowS:
			j.find(energy.SeverityFatal, "", -s, "window %d lasts %.2f s; below %v s nothing can be said", i, s, leastWindowS)
		case s < shortWindowS:
			j.find(energy.SeverityWarning, "", -s, "window %d lasts %.1f s; %v s or more is advised", i, s, shortWindowS)
		}
		for _, d := range j.Headline {
			if periods := float64(w.lengthNs()) / float64(d.PeriodNs); d.PeriodNs > 0 && periods < leastPeriods {
				j.find(energy.SeverityFatal, d.ID, -periods, "window %d lasts %.2f s, that is %.1f updates of %s; %v are the least", i, s, periods, d.ID, leastPeriods)
			}
		}
	}
	j.headline(func(d Domain) {
		if d.PeriodNs <= 0 {
			j.unknown("the update period of %s is not known", d.ID)
		}
	})
}

func windowBelowProfile(j *judging) {
	least, known := map[string]float64{"standard": standardWindowS, "publication": publicationS}[j.Profile]
	if !known {
		j.skip()
		return
	}
	for i, w := range j.Windows {
		j.saw()
		// A window is cut at the first edge after its time; stamps round.
		if s := w.seconds(); s < least {
			j.find(energy.SeverityWarning, "", -s, "window %d lasts %.2f s, and the profile %s stands for %v s", i, s, j.Profile, least)
		}
	}
}

func requestsFailed(j *judging) {
	for i, w := range j.Windows {
		j.saw()
		if w.Failed > 0 {
			j.find(energy.SeverityFatal, "", float64(w.Failed), "%d of %d requests in window %d failed", w.Failed, w.Requests, i)
		}
	}
}

func requestsBrokenOff(j *judging) {
	for i, w := range j.Windows {
		j.saw()
		if w.Aborted > 0 {
			j.find(energy.SeverityFatal, "", float64(w.Aborted), "%d of %d requests in window %d were broken off", w.Aborted, w.Requests, i)
		}
	}
}

func noOutput(j *judging) {
	for i, w := range j.Windows {
		j.saw()
		if w.OutputTokens <= 0 {
			j.find(energy.SeverityFatal, "", 0, "window %d holds no output token", i)
		}
	}
}

func outputLenCapped(j *judging) {
	if j.Exact {
		j.skip()
		return
	}
	for i, w := range j.Windows {
		if w.Capped == nil || w.Requests == 0 {
			j.unknown("the backend does not say why a request ended")
			continue
		}
		j.saw()
		if pct := 100 * float64(*w.Capped) / float64(w.Requests); pct >= cappedPct {
			j.find(energy.SeverityWarning, "", pct, "%.0f %% of the requests in window %d ended at the most output tokens allowed (limit %v %%)", pct, i, cappedPct)
		}
	}
}

func tokenCountMismatch(j *judging) {
	if !j.Exact {
		j.skip()
		return
	}
	for i, w := range j.Windows {
		j.saw()
		if w.OtherLengths > 0 {
			j.find(energy.SeverityFatal, "", float64(w.OtherLengths), "%d of %d requests in window %d do not have the %d output tokens that were asked for", w.OtherLengths, w.Requests, i, j.OutputTokens)
		}
	}
}

// workMismatch: beyond the limit J/token is that of another ratio of prompt to
// output than the workload's.
func workMismatch(j *judging) {
	for i, w := range j.Windows {
		j.saw()
		prompt, output := 100*w.PromptOff, 100*w.OutputOff
		if worst := math.Max(math.Abs(prompt), math.Abs(output)); beyond(worst, mostMismatchPct) {
			j.find(energy.SeverityFatal, "", worst, "tokens stamped in window %d differ from its requests' by %+.1f %% (prompt) and %+.1f %% (output), and %v %% is the limit", i, prompt, output, mostMismatchPct)
		}
	}
}

// batchNotReached looks at a closed loop only: how a static batch is split is
// the backend's own parameter.
func batchNotReached(j *judging) {
	if j.Loop != "closed" || j.Concurrency <= 0 {
		j.skip()
		return
	}
	if j.RunningMean == nil || math.IsNaN(*j.RunningMean) {
		j.unknown("the backend does not count how many requests run at a time (running_mean)")
		return
	}
	j.saw()
	if pct := 100 * *j.RunningMean / float64(j.Concurrency); pct < leastBatchPct {
		j.find(energy.SeverityWarning, "", -pct, "the engine worked on %.1f requests at a time, %.0f %% of the %d kept in flight (limit %v %%)", *j.RunningMean, pct, j.Concurrency, leastBatchPct)
	}
}

// overload looks at an open loop only: requests arrive whether or not the engine
// keeps up, and where it does not, the figures are those of another load.
func overload(j *judging) {
	if j.Loop != "open" {
		j.skip()
		return
	}
	for i, w := range j.Windows {
		if w.LagGrowth == nil || w.LagError == nil {
			j.unknown("fewer than six requests arrived in window %d and ended", i)
			continue
		}
		j.saw()
		pct, certain := 100**w.LagGrowth, *w.LagGrowth > lagErrors**w.LagError
		severity := energy.SeverityWarning
		if beyond(pct, lagFatalPct) {
			severity = energy.SeverityFatal
		}
		if certain && beyond(pct, lagPct) {
			j.find(severity, "", pct, "requests that arrived in window %d took ever longer, by %.1f %% of the time that passed (limits %v %% and %v %%): the engine cannot keep up with the rate, or had not settled", i, pct, lagPct, lagFatalPct)
		}
	}
}

func prefixCacheHit(j *judging) {
	switch {
	case j.SharedPrefix:
		j.skip()
	case j.CachedPromptTokens == nil:
		j.unknown("the backend does not count cached_prompt_tokens")
	default:
		j.saw()
		if n := *j.CachedPromptTokens; n > 0 {
			j.find(energy.SeverityWarning, "", float64(n), "the engine took %d prompt tokens from its cache although no prompts begin alike on purpose", n)
		}
	}
}
