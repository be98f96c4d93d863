package gate

import (
	"cmp"

	"github.com/llenergymeasure/llem/core/energy"
)

// absent tells why a fact is not there.
func (j *judging) absent(d Device, key string) {
	j.unknown("%s: %s is not known: %s", d.Facts.UUID, key, cmp.Or(d.Facts.Absent[key], "its driver does not tell"))
}

func persistenceOff(j *judging) {
	j.gpus(func(d Device) {
		switch on := d.Facts.Persistence; {
		case on == nil:
			j.absent(d, "persistence")
		case !*on:
			j.find(energy.SeverityWarning, d.Facts.UUID, 0, "persistence mode of %s is off: its driver is torn down when the last user leaves, and counters start again", d.Facts.UUID)
		default:
			j.saw()
		}
	})
}

// migOn: power is read for the whole card only, so one instance that is the
// card is fine.
func migOn(j *judging) {
	j.gpus(func(d Device) {
		on, parts := d.Facts.MIG, d.Facts.MIGInstances
		switch {
		case on == nil:
			j.absent(d, "mig")
		case !*on:
			j.saw()
		case parts == nil:
			j.find(energy.SeverityFatal, d.Facts.UUID, 0, "%s is split (MIG) into an unknown number of instances; its power is that of all of them", d.Facts.UUID)
		case *parts != 1:
			j.find(energy.SeverityFatal, d.Facts.UUID, float64(*parts), "%s is split (MIG) into %d instances; its power is that of all of them", d.Facts.UUID, *parts)
		default:
			j.saw()
		}
	})
}

func vgpu(j *judging) {
	j.gpus(func(d Device) {
		switch virtual := d.Facts.Virtual; {
		case virtual == nil:
			j.absent(d, "virtual")
		case *virtual:
			j.find(energy.SeverityWarning, d.Facts.UUID, 0, "%s is a share of a card (vGPU): what the others on it do cannot be seen", d.Facts.UUID)
		default:
			j.saw()
		}
	})
}

func powerLimitNonDefault(j *judging) {
	j.gpus(func(d Device) {
		limits, standard := d.limits(), d.Facts.DefaultLimitMilliW
		switch {
		case len(limits) == 0:
			j.unknown("%s: limit_mw is not known", d.Facts.UUID)
		case standard == nil:
			j.absent(d, "default_limit_mw")
		case limits[0] != *standard:
			j.find(energy.SeverityWarning, d.Facts.UUID, 0, "the power limit of %s is %s W and its default %s W", d.Facts.UUID, watts(limits[0]), watts(*standard))
		default:
			j.saw()
		}
	})
}

// eccSeen looks at errors from before the trial.
func eccSeen(j *judging) {
	j.gpus(func(d Device) {
		switch {
		case d.Facts.ECC != nil && !*d.Facts.ECC:
			j.skip()
		case d.Before == nil || d.Before.ECCUncorrected == nil:
			j.unknown("%s does not count uncorrected memory errors", d.Facts.UUID)
		case *d.Before.ECCUncorrected > 0:
			j.find(energy.SeverityWarning, d.Facts.UUID, float64(*d.Before.ECCUncorrected), "%s had %d uncorrected memory errors since its driver was loaded", d.Facts.UUID, *d.Before.ECCUncorrected)
		default:
			j.saw()
		}
	})
}

func eccError(j *judging) {
	j.gpus(func(d Device) {
		switch {
		case d.Facts.ECC != nil && !*d.Facts.ECC:
			j.skip()
		case d.Before == nil || d.Before.ECCUncorrected == nil || d.After == nil || d.After.ECCUncorrected == nil:
			j.unknown("%s does not count uncorrected memory errors", d.Facts.UUID)
		case *d.After.ECCUncorrected > *d.Before.ECCUncorrected:
			j.find(energy.SeverityFatal, d.Facts.UUID, 0, "uncorrected memory errors of %s rose from %d to %d during the trial", d.Facts.UUID, *d.Before.ECCUncorrected, *d.After.ECCUncorrected)
		case *d.After.ECCUncorrected < *d.Before.ECCUncorrected:
			j.unknown("%s counted memory errors backwards: its driver was loaded anew", d.Facts.UUID)
		default:
			j.saw()
		}
	})
}

func rowRemapPending(j *judging) {
	j.gpus(func(d Device) {
		if d.Before == nil || d.Before.RowRemapPending == nil {
			j.unknown("%s does not tell whether a row of its memory is to be remapped", d.Facts.UUID)
			return
		}
		j.saw()
		if *d.Before.RowRemapPending || d.After != nil && d.After.RowRemapPending != nil && *d.After.RowRemapPending {
			j.find(energy.SeverityWarning, d.Facts.UUID, 0, "a damaged row of the memory of %s waits for a reset to be remapped", d.Facts.UUID)
		}
	})
}

// moduleScope and dutySampled are found by package energy in a trial; before
// one, the domains alone tell.
func moduleScope(j *judging) {
	for _, d := range j.Headline {
		j.saw()
		if d.Kind == energy.KindModule {
			j.find(energy.SeverityWarning, d.ID, 0, "%s covers the whole module: GPU, CPU and memory together", d.ID)
		}
	}
}

func dutySampled(j *judging) {
	apertureKnown(j)
	for _, d := range j.Headline {
		if duty, known := d.Duty(d.PeriodNs); known && duty < 1 {
			j.find(energy.SeverityWarning, d.ID, 1-duty, "%s looks at %.0f %% of the time", d.ID, 100*duty)
		}
	}
}
