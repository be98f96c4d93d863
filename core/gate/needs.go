package gate

import (
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
)

// What gates of other packages need. Where it is missing they had nothing to
// look at, and that they found nothing means nothing.

// headline calls look for each headline domain.
func (j *judging) headline(look func(Domain)) {
	if len(j.Headline) == 0 {
		j.unknown("the trial has no headline domain")
	}
	defer func() { j.subject = "" }()
	for _, d := range j.Headline {
		j.subject = d.ID
		look(d)
	}
}

func headlineKnown(j *judging) { j.headline(func(Domain) { j.saw() }) }

// apertureKnown: without both figures nobody can say for how much of the time a
// power sensor looks. Counters and interval means cover all of it.
func apertureKnown(j *judging) {
	j.headline(func(d Domain) {
		j.saw()
		if _, known := d.Duty(d.PeriodNs); !known {
			j.unknown("%s does not say over which time it averages, or how often", d.ID)
		}
	})
}

func joulesKnown(j *judging) { j.joules(func(Domain) { j.saw() }) }

// joules calls look for each headline domain that has joules in every window.
func (j *judging) joules(look func(Domain)) {
	j.headline(func(d Domain) {
		for i, w := range j.Windows {
			if !w.has(d.ID) {
				j.unknown("%s has no joules in window %d", d.ID, i)
				return
			}
		}
		look(d)
	})
}

func (w Span) has(domain string) bool {
	for _, part := range w.Energy {
		if part.Domain == domain {
			return true
		}
	}
	return false
}

// powerSampled: a counter has no samples of power; one that falls is another
// gate's.
func powerSampled(j *judging) {
	j.joules(func(d Domain) {
		if d.Reading == energy.ReadingCounter {
			j.skip()
		} else {
			j.saw()
		}
	})
}

func periodKnown(j *judging) {
	j.joules(func(d Domain) {
		if d.PeriodNs <= 0 {
			j.unknown("the update period of %s is not known", d.ID)
		}
		j.saw()
	})
}

func outputCounted(j *judging) {
	if j.OutputCounted {
		j.saw()
	} else {
		j.unknown("the backend does not count its output tokens, or not before and after the Run")
	}
}

// conditioned: a cold Run has no conditioning and is not_cooled's.
func conditioned(j *judging) {
	c := j.Conditioned
	switch {
	case c == nil && j.Cooldown != nil:
		j.skip()
	case c == nil:
		j.unknown("the Run was not conditioned")
	case !c.PowerKnown:
		j.unknown("the power under conditioning is not known")
	case len(c.Silent) > 0:
		j.unknown("the temperature of %s under conditioning is not known", strings.Join(c.Silent, ", "))
	default:
		j.saw()
	}
}
