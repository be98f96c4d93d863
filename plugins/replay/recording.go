package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// recording is what a file says of one domain besides its samples: an element
// of the note llem.recordings of a power.parquet, or a line "# {...}" of a CSV.
type recording struct {
	Domain domain `json:"domain"`
	// CompleteUntilNs is the last watermark; 0 = the last sample's stamp.
	CompleteUntilNs int64     `json:"complete_until_ns"`
	Gaps            []gap     `json:"gaps,omitempty"`
	Problems        []problem `json:"problems,omitempty"`
	Dropped         uint64    `json:"dropped,omitempty"`
	// Warnings are the problems in words; they are not played.
	Warnings []any `json:"warnings,omitempty"`
}

// gap is a span in which samples were lost, between the stamps around it.
type gap struct {
	FromNs int64  `json:"from_ns"`
	ToNs   int64  `json:"to_ns"`
	Lost   uint64 `json:"lost"`
}

// problem is a kind of trouble that the recording met, counted.
type problem struct {
	Code    string `json:"code"`
	Count   uint64 `json:"count"`
	FirstNs int64  `json:"first_ns"`
	LastNs  int64  `json:"last_ns"`
}

// domain is a domain as results describe it (docs/results-format.md, sources).
type domain struct {
	ID          string   `json:"id"`
	Kind        string   `json:"kind"`
	DeviceIDs   []string `json:"device_ids,omitempty"`
	ContainedIn string   `json:"contained_in,omitempty"`
	Reading     string   `json:"reading"`
	AveragingNs int64    `json:"averaging_ns,omitempty"`
	LagNs       int64    `json:"lag_ns,omitempty"`
	LagSpreadNs int64    `json:"lag_spread_ns,omitempty"`
	UpdateNs    int64    `json:"update_ns,omitempty"`
	UnitNum     int64    `json:"unit_num"`
	UnitDen     int64    `json:"unit_den"`
	ChangesOnly bool     `json:"changes_only,omitempty"`
	MostPowerW  float64  `json:"most_power_w,omitempty"`
	Estimated   bool     `json:"estimated,omitempty"`
	Accuracy    struct {
		GainRel    float64 `json:"gain_rel"`
		OffsetW    float64 `json:"offset_w"`
		Confidence float64 `json:"confidence,omitempty"`
	} `json:"accuracy"`
	Host          string `json:"host,omitempty"`
	Source        string `json:"source,omitempty"`
	FirstSampleNs int64  `json:"first_sample_ns,omitempty"`
	Doc           string `json:"doc,omitempty"`
}

var (
	kinds = []sdk.DomainKind{
		sdk.DomainGPU, sdk.DomainGPUMemory, sdk.DomainModule, sdk.DomainCPUPackage, sdk.DomainDRAM, sdk.DomainNode, sdk.DomainRack,
	}
	readings = []sdk.Reading{sdk.ReadingCounter, sdk.ReadingInstant, sdk.ReadingTrailingMean, sdk.ReadingIntervalMean}
)

// check refuses a description that the contract cannot carry, since what its
// samples mean would have to be guessed.
func (d domain) check() error {
	switch {
	case d.ID == "" || strings.ContainsAny(d.ID, ",\"\n\r"):
		return fmt.Errorf("the id %q of a domain is empty or has a comma, a quote or a line break", d.ID)
	case !slices.Contains(kinds, sdk.DomainKind(d.Kind)):
		return fmt.Errorf("domain %q: kind %q is unknown; known are %s", d.ID, d.Kind, words(kinds))
	case !slices.Contains(readings, sdk.Reading(d.Reading)):
		return fmt.Errorf("domain %q: reading %q is unknown; known are %s", d.ID, d.Reading, words(readings))
	case d.UnitNum <= 0 || d.UnitDen <= 0:
		return fmt.Errorf("domain %q: unit_num/unit_den = %d/%d is no positive fraction of a joule or watt; millijoules and milliwatts are 1/1000", d.ID, d.UnitNum, d.UnitDen)
	case d.AveragingNs < 0 || d.LagNs < 0 || d.LagSpreadNs < 0 || d.UpdateNs < 0:
		return fmt.Errorf("domain %q: a duration is below 0", d.ID)
	case d.Reading == string(sdk.ReadingTrailingMean) && d.AveragingNs == 0:
		return fmt.Errorf("domain %q: reading trailing_mean needs averaging_ns", d.ID)
	case !(d.MostPowerW >= 0 && d.MostPowerW <= 1e12):
		return fmt.Errorf("domain %q: most_power_w = %v is no power; 0 says that it is not known", d.ID, d.MostPowerW)
	case !(d.Accuracy.GainRel >= 0) || !(d.Accuracy.OffsetW >= 0) || !(d.Accuracy.Confidence >= 0 && d.Accuracy.Confidence <= 1):
		return fmt.Errorf("domain %q: its accuracy is below 0", d.ID)
	}
	return nil
}

// checkAll also refuses two domains of one name and a domain within none.
func checkAll(recordings []recording) error {
	outer := map[string]string{}
	for _, r := range recordings {
		if err := r.Domain.check(); err != nil {
			return err
		}
		if _, again := outer[r.Domain.ID]; again {
			return fmt.Errorf("two domains are called %q", r.Domain.ID)
		}
		outer[r.Domain.ID] = r.Domain.ContainedIn
		if err := r.checkStamps(); err != nil {
			return err
		}
	}
	for id, in := range outer {
		for steps := 0; in != ""; steps++ {
			next, known := outer[in]
			if !known || steps > len(outer) {
				return fmt.Errorf("domain %q: contained_in %q is no domain of the file, or lies within it", id, in)
			}
			in = next
		}
	}
	return nil
}

// checkStamps refuses stamps with which no sum could be made.
func (r recording) checkStamps() error {
	refuse := func(what string, ns int64) error {
		return fmt.Errorf("domain %q: %s = %d is no stamp", r.Domain.ID, what, ns)
	}
	if r.CompleteUntilNs < 0 || r.CompleteUntilNs > latestNs {
		return refuse("complete_until_ns", r.CompleteUntilNs)
	}
	for _, g := range r.Gaps {
		if g.FromNs < 0 || g.ToNs <= g.FromNs || g.ToNs > latestNs {
			return refuse("from_ns of a gap", g.FromNs)
		}
	}
	for _, p := range r.Problems {
		if p.FirstNs < -latestNs || p.LastNs < p.FirstNs || p.LastNs > latestNs {
			return refuse("first_ns of a problem", p.FirstNs)
		}
	}
	return nil
}

// contract translates a description.
func (d domain) contract() sdk.Domain {
	out := sdk.Domain{
		ID: d.ID, Kind: sdk.DomainKind(d.Kind), DeviceIDs: d.DeviceIDs, ContainedIn: d.ContainedIn,
		Reading: sdk.Reading(d.Reading), Unit: sdk.UnitWatt, UnitNumerator: d.UnitNum, UnitDenominator: d.UnitDen,
		AveragingNs: d.AveragingNs, LagNs: d.LagNs, LagSpreadNs: d.LagSpreadNs, UpdatePeriodNs: d.UpdateNs,
		Estimated: d.Estimated, Host: d.Host, Doc: d.Doc, ChangesOnly: d.ChangesOnly, MostPowerW: d.MostPowerW,
	}
	if out.Reading == sdk.ReadingCounter {
		out.Unit = sdk.UnitJoule
	}
	// In a record 0 means that nothing is stated.
	known := func(v float64) *float64 {
		if v == 0 {
			return nil
		}
		return &v
	}
	out.Accuracy = sdk.Accuracy{GainRel: known(d.Accuracy.GainRel), OffsetW: known(d.Accuracy.OffsetW), Confidence: known(d.Accuracy.Confidence)}
	return out
}

func words[T ~string](list []T) string {
	var out []string
	for _, w := range list {
		out = append(out, string(w))
	}
	return strings.Join(out, ", ")
}
