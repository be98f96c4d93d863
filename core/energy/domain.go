package energy

import (
	"fmt"
	"strings"
)

// Reading says what one sample value means, in the words of the plugin contract.
type Reading string

const (
	// ReadingCounter is a monotonically rising count of energy.
	ReadingCounter Reading = "counter"
	// ReadingInstant is power at (or over a short aperture ending at) the stamp.
	ReadingInstant Reading = "instant"
	// ReadingTrailingMean is mean power over AveragingNs ending at the stamp;
	// neighbouring samples may overlap in time or leave time between them.
	ReadingTrailingMean Reading = "trailing_mean"
	// ReadingIntervalMean is mean power over exactly the time since the previous
	// sample.
	ReadingIntervalMean Reading = "interval_mean"
)

// Kinds of domain, in the words of the plugin contract.
const (
	KindGPU        = "gpu"
	KindGPUMemory  = "gpu_memory"
	KindModule     = "module"
	KindCPUPackage = "cpu_package"
	KindDRAM       = "dram"
	KindNode       = "node"
	KindRack       = "rack"
)

// Accuracy is what is known of a sensor's systematic error. It is common to all
// windows of one domain and therefore never shrinks with repeats.
type Accuracy struct {
	// GainRel is the half-width of the gain error as a fraction (0.05 = ±5 %).
	GainRel float64 `json:"gain_rel"`
	// OffsetW is the half-width of the zero error in watts.
	OffsetW float64 `json:"offset_w"`
	// Confidence is the probability that the bounds hold; 0 when not stated.
	Confidence float64 `json:"confidence,omitempty"`
}

// Domain describes one thing whose energy is measured and the sensor that does it.
type Domain struct {
	// ID names the domain uniquely among all sources of one study.
	ID string `json:"id"`
	// Kind is one of the Kind constants; other words are kept and shown.
	Kind string `json:"kind"`
	// DeviceIDs are the devices whose energy is inside (GPU UUIDs, package names).
	DeviceIDs []string `json:"device_ids,omitempty"`
	// ContainedIn is the ID of the domain that already includes this one, or "".
	ContainedIn string `json:"contained_in,omitempty"`

	Reading Reading `json:"reading"`
	// AveragingNs is the time that one sample averages over; 0 when unknown or none.
	AveragingNs int64 `json:"averaging_ns,omitempty"`
	// LagNs is how much later than the energy that it describes a sample is stamped.
	LagNs int64 `json:"lag_ns,omitempty"`
	// LagSpreadNs is the standard deviation of that lag.
	LagSpreadNs int64 `json:"lag_spread_ns,omitempty"`
	// UpdateNs is the sensor's update period; 0 = take it from the samples.
	UpdateNs int64 `json:"update_ns,omitempty"`

	// UnitNum/UnitDen is what one count is worth: joules for a counter, watts for
	// every other reading (millijoules and milliwatts are 1/1000).
	UnitNum int64 `json:"unit_num"`
	UnitDen int64 `json:"unit_den"`

	// ChangesOnly says that a sample is recorded only when the value changed, so
	// that between two samples the earlier value held.
	ChangesOnly bool `json:"changes_only,omitempty"`
	// Estimated says that the value is modelled, not measured.
	Estimated bool     `json:"estimated,omitempty"`
	Accuracy  Accuracy `json:"accuracy"`
	// MostPowerW is more than the domain can ever draw, so that samples above it are
	// damaged; 0 when unknown.
	MostPowerW float64 `json:"most_power_w,omitempty"`

	Host   string `json:"host,omitempty"`
	Source string `json:"source,omitempty"`
	// FirstSampleNs is the time from opening the source to its first valid sample.
	FirstSampleNs int64 `json:"first_sample_ns,omitempty"`
	// Doc is the source's own words on what the joules cover and, for a model,
	// which numbers it was made with.
	Doc string `json:"doc,omitempty"`
}

// Validate refuses a description with which no joule could be computed. Unknown
// kinds pass (they are only shown); an unknown reading or unit would change
// arithmetic and is refused by name.
func (d Domain) Validate() error {
	if strings.TrimSpace(d.ID) == "" {
		return fmt.Errorf("energy domain of source %q has no id", d.Source)
	}
	switch d.Reading {
	case ReadingCounter, ReadingInstant, ReadingTrailingMean, ReadingIntervalMean:
	default:
		return fmt.Errorf("energy domain %q: reading %q is unknown, so its samples cannot be integrated; known are counter, instant, trailing_mean, interval_mean", d.ID, d.Reading)
	}
	if d.UnitNum <= 0 || d.UnitDen <= 0 {
		return fmt.Errorf("energy domain %q: unit %d/%d is not a positive fraction of a joule or watt", d.ID, d.UnitNum, d.UnitDen)
	}
	for _, f := range []struct {
		name  string
		value int64
	}{{"averaging_ns", d.AveragingNs}, {"lag_ns", d.LagNs}, {"lag_spread_ns", d.LagSpreadNs}, {"update_ns", d.UpdateNs}} {
		if f.value < 0 || f.value > maxSpanNs {
			return fmt.Errorf("energy domain %q: %s = %d is outside 0 to one hour", d.ID, f.name, f.value)
		}
	}
	if d.Reading == ReadingTrailingMean && d.AveragingNs == 0 {
		return fmt.Errorf("energy domain %q: reading trailing_mean needs averaging_ns", d.ID)
	}
	if !(d.Accuracy.GainRel >= 0 && d.Accuracy.GainRel <= 10) || !(d.Accuracy.OffsetW >= 0 && d.Accuracy.OffsetW <= 1e9) {
		return fmt.Errorf("energy domain %q: accuracy (gain %v, offset %v W) is not a pair of sensible half-widths", d.ID, d.Accuracy.GainRel, d.Accuracy.OffsetW)
	}
	if !(d.MostPowerW >= 0 && d.MostPowerW <= 1e12) {
		return fmt.Errorf("energy domain %q: most_power_w = %v is no power; 0 says that it is not known", d.ID, d.MostPowerW)
	}
	if !(d.Accuracy.Confidence >= 0 && d.Accuracy.Confidence <= 1) {
		return fmt.Errorf("energy domain %q: accuracy.confidence = %v is no probability; 0 says that it is not stated", d.ID, d.Accuracy.Confidence)
	}
	return nil
}

// maxSpanNs bounds the sensor times of a Domain: no sensor averages over an hour.
const maxSpanNs = int64(3600e9)

// assumedDuty stands for the share of time that a sensor looks at where nobody
// knows it: that of the worst common sensor.
const assumedDuty = 0.25

// Duty is the share of all time that the sensor looks at: AveragingNs/UpdateNs
// when a power sensor's aperture is shorter than its update period (25 ms of
// every 100 ms for the instant field of GA100 and GH100), else 1. A counter and
// an interval mean cover all time by definition. periodNs stands for an update
// period that the domain does not state, see [Trace.Duty].
//
// It is not known, and share then an assumption, where nobody says over what time a
// sample averages (unless a model makes it), or how often there is one.
func (d Domain) Duty(periodNs int64) (share float64, known bool) {
	if d.Reading != ReadingInstant && d.Reading != ReadingTrailingMean {
		return 1, true
	}
	if d.AveragingNs <= 0 && d.Estimated {
		return 1, true
	}
	if d.UpdateNs > 0 {
		periodNs = d.UpdateNs
	} else if d.ChangesOnly {
		periodNs = 0 // the distance of changes is the load's
	}
	switch {
	case d.AveragingNs <= 0 || periodNs <= 0:
		return assumedDuty, false
	case d.AveragingNs >= periodNs:
		return 1, true
	}
	return float64(d.AveragingNs) / float64(periodNs), true
}

// unit is the worth of one count in joules or watts.
func (d Domain) unit() float64 { return float64(d.UnitNum) / float64(d.UnitDen) }

// shiftNs is how much later than a moment the samples that describe it are
// stamped: the lag, plus half an average, or for an interval mean that is recorded
// on change only the whole interval that its first new value covers.
func (d Domain) shiftNs() int64 {
	switch {
	case d.Reading == ReadingInstant || d.Reading == ReadingTrailingMean:
		return d.LagNs + d.AveragingNs/2
	case d.Reading == ReadingIntervalMean && d.ChangesOnly:
		return d.LagNs + d.UpdateNs
	}
	return d.LagNs
}

// NeededUntilNs is the watermark from which a window ending at toNs has a sample
// on either side of its end: later samples no longer change it. A window can be
// had earlier, with a held edge or a raw counter difference, and then says so.
func (d Domain) NeededUntilNs(toNs int64) int64 { return toNs + d.shiftNs() + 2*d.UpdateNs }
