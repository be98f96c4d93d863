package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
)

// powerRow is one sample in power.parquet. value is in counts of the domain's
// unit, as the sensor gave it.
type powerRow struct {
	Domain string `parquet:"domain,dict"`
	MonoNs int64  `parquet:"mono_ns,delta"`
	Value  int64  `parquet:"value,delta"`
	Epoch  uint32 `parquet:"epoch,dict"`
}

// domainsKey is the file's note that holds the recordings, as JSON.
const domainsKey = "llem.recordings"

// recording is what a Trace holds besides its samples.
type recording struct {
	Domain          energy.Domain    `json:"domain"`
	CompleteUntilNs int64            `json:"complete_until_ns"`
	PeriodNs        int64            `json:"period_ns,omitempty"`
	Dropped         uint64           `json:"dropped,omitempty"`
	Gaps            []recordedGap    `json:"gaps,omitempty"`
	Problems        []energy.Problem `json:"problems,omitempty"`
}

type recordedGap struct {
	FromNs int64  `json:"from_ns"`
	ToNs   int64  `json:"to_ns"`
	Lost   uint64 `json:"lost"`
}

// PowerWriter writes a power.parquet while samples come. What it holds does not
// grow with them.
type PowerWriter struct {
	series  *series[powerRow]
	waiting map[string][]powerRow
}

// rowsTogether of one domain follow each other: their differences are small, and
// small is what the file holds well.
const rowsTogether = 8192

// CreatePower begins the power.parquet of a trial's directory. There must be
// none.
func CreatePower(trialDir string) (*PowerWriter, error) {
	s, err := createSeries[powerRow](filepath.Join(trialDir, powerFile))
	if err != nil {
		return nil, err
	}
	return &PowerWriter{series: s, waiting: map[string][]powerRow{}}, nil
}

// Add takes the next sample of a domain.
func (w *PowerWriter) Add(domainID string, s energy.Sample) error {
	rows := append(w.waiting[domainID], powerRow{Domain: domainID, MonoNs: s.MonoNs, Value: s.Value, Epoch: s.Epoch})
	if len(rows) < rowsTogether {
		w.waiting[domainID] = rows
		return nil
	}
	w.waiting[domainID] = rows[:0]
	return w.series.addAll(rows)
}

// Close writes what is left and describes the domains: each Stored without its
// samples. The file is whole and durable then, or the error says why not.
func (w *PowerWriter) Close(domains []energy.Stored) error {
	for _, id := range slices.Sorted(maps.Keys(w.waiting)) {
		if err := w.series.addAll(w.waiting[id]); err != nil {
			return w.series.close() // it returns err
		}
	}
	var notes []recording
	for _, d := range domains {
		note := recording{Domain: d.Domain, CompleteUntilNs: d.CompleteUntilNs, PeriodNs: d.PeriodNs, Dropped: d.Dropped, Problems: d.Problems}
		for _, g := range d.Gaps {
			note.Gaps = append(note.Gaps, recordedGap{g.FromNs, g.ToNs, g.Lost})
		}
		notes = append(notes, note)
	}
	text, err := json.Marshal(notes)
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: describe the domains: %w", w.series.path, err), w.series.file.Close())
	}
	w.series.writer.SetKeyValueMetadata(domainsKey, string(text))
	return w.series.close()
}

// WritePower writes power.parquet: every sample of every domain from fromNs to
// toNs and some beyond, with what is needed to compute any window in between
// again. A trial has one.
func (a *Attempt) WritePower(traces map[string]*energy.Trace, fromNs, toNs int64) error {
	if a.ended {
		return a.endedError()
	}
	w, err := CreatePower(a.path)
	if err != nil {
		return err
	}
	var domains []energy.Stored
	for _, id := range slices.Sorted(maps.Keys(traces)) {
		part := cutTrace(traces[id], fromNs, toNs)
		for _, s := range part.Samples {
			if err := w.Add(id, s); err != nil {
				return w.series.close() // it returns err
			}
		}
		part.Samples = nil
		domains = append(domains, part)
	}
	return w.Close(domains)
}

// ReadPower reads the power.parquet of a trial's directory back into Traces by
// domain id. Their windows are those of the trial, to the last bit.
func ReadPower(trialDir string) (map[string]*energy.Trace, error) {
	return readPower(trialDir, everything)
}

// ReadPowerBetween reads as much as the windows between two stamps need.
func ReadPowerBetween(trialDir string, fromNs, toNs int64) (map[string]*energy.Trace, error) {
	return readPower(trialDir, func(d energy.Domain, periodNs int64) (int64, int64) {
		return reach(d, periodNs, fromNs, toNs)
	})
}
