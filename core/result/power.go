package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"sort"

	"github.com/llenergymeasure/llem/core/energy"
)

// powerRow is one sample in power.parquet. value is in counts of the domain's
// unit, as the sensor gave it.
type powerRow struct {
	Domain string `parquet:"domain,dict"`
	MonoNs int64  `parquet:"mono_ns,delta"`
	Value  int64  `parquet:"value,delta"`
	Epoch  uint32 `parquet:"epoch,delta"`
}

// domainsKey is the file's note that holds the recordings, as JSON.
const domainsKey = "llem.recordings"

// recording is what a Trace holds besides its samples.
type recording struct {
	Domain          energy.Domain    `json:"domain"`
	CompleteUntilNs int64            `json:"complete_until_ns"`
	Gaps            []recordedGap    `json:"gaps,omitempty"`
	Warnings        []energy.Warning `json:"warnings,omitempty"`
}

type recordedGap struct {
	FromNs int64  `json:"from_ns"`
	ToNs   int64  `json:"to_ns"`
	Lost   uint64 `json:"lost"`
}

// marginNs is kept on both sides of the span asked for, so that windows at
// its edges find the samples beyond them.
const marginNs = int64(10e9)

// WritePower writes power.parquet: every sample of every domain from fromNs to
// toNs and some beyond, with what is needed to compute any window in between
// again. A trial has one.
func (a *Attempt) WritePower(traces map[string]*energy.Trace, fromNs, toNs int64) error {
	if a.ended {
		return a.endedError()
	}
	s, err := createSeries[powerRow](filepath.Join(a.path, powerFile))
	if err != nil {
		return err
	}
	if err := writeSamples(s, traces, fromNs, toNs); err != nil {
		return errors.Join(err, s.file.Close())
	}
	return s.close()
}

func writeSamples(s *series[powerRow], traces map[string]*energy.Trace, fromNs, toNs int64) error {
	var notes []recording
	for _, id := range slices.Sorted(maps.Keys(traces)) {
		t := traces[id]
		margin := max(marginNs, 20*t.PeriodNs()) + t.Domain.LagNs + t.Domain.AveragingNs
		from, to := fromNs-margin, toNs+margin
		if t.Domain.UpdateNs == 0 {
			// The period was taken from the whole recording, and windows
			// depend on it.
			from, to = math.MinInt64, math.MaxInt64
		}
		note := recording{
			Domain: t.Domain, CompleteUntilNs: min(t.CompleteUntilNs, to), Warnings: t.Warnings(),
		}
		for _, g := range t.Gaps() {
			if g.ToNs > from && g.FromNs < to {
				note.Gaps = append(note.Gaps, recordedGap{g.FromNs, g.ToNs, g.Lost})
			}
		}
		notes = append(notes, note)
		samples := t.Samples()
		first := sort.Search(len(samples), func(i int) bool { return samples[i].MonoNs >= from })
		for _, sample := range samples[first:] {
			if sample.MonoNs > to {
				break
			}
			if err := s.add(powerRow{Domain: id, MonoNs: sample.MonoNs, Value: sample.Value, Epoch: sample.Epoch}); err != nil {
				return err
			}
		}
	}
	text, err := json.Marshal(notes)
	if err != nil {
		return fmt.Errorf("write %s: describe the domains: %w", s.path, err)
	}
	s.writer.SetKeyValueMetadata(domainsKey, string(text))
	return nil
}

// ReadPower reads the power.parquet of a trial's directory back into Traces by
// domain id. Their windows are those of the trial, to the last bit.
//
// Doubts about the recording as a whole (repeated samples and the like) were
// counted when it was made; they are in the trial's own windows.
func ReadPower(trialDir string) (map[string]*energy.Trace, error) {
	path := filepath.Join(trialDir, powerFile)
	samples := map[string][]energy.Sample{}
	meta, err := readSeries(path, func(row powerRow) error {
		samples[row.Domain] = append(samples[row.Domain], energy.Sample{MonoNs: row.MonoNs, Value: row.Value, Epoch: row.Epoch})
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, ok := meta(domainsKey)
	if !ok {
		return nil, fmt.Errorf("read %s: it does not describe its domains (%s), so the samples have no unit", path, domainsKey)
	}
	var notes []recording
	if err := json.Unmarshal([]byte(text), &notes); err != nil {
		return nil, fmt.Errorf("read %s: its description of the domains is damaged: %w", path, err)
	}
	traces := map[string]*energy.Trace{}
	for _, note := range notes {
		trace, err := note.restore(samples[note.Domain.ID])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		traces[note.Domain.ID] = trace
		delete(samples, note.Domain.ID)
	}
	for id := range samples {
		return nil, fmt.Errorf("read %s: samples of %q are not described", path, id)
	}
	return traces, nil
}

// restore replays the samples as batches that end at each gap, as they once
// came from the source.
func (r recording) restore(samples []energy.Sample) (*energy.Trace, error) {
	b, err := energy.NewBuilder(r.Domain)
	if err != nil {
		return nil, err
	}
	var sequence uint64
	var batch energy.Batch
	emit := func() {
		if len(batch.StampsNs) > 0 || batch.Dropped > 0 {
			batch.Sequence = sequence
			b.Append(batch)
			sequence++
		}
		batch = energy.Batch{}
	}
	gaps := r.Gaps
	for i, s := range samples {
		if i > 0 && samples[i-1].Epoch != s.Epoch {
			emit()
		}
		for len(gaps) > 0 && gaps[0].ToNs <= s.MonoNs {
			if gaps[0].ToNs == s.MonoNs && i > 0 {
				emit()
				if batch.Dropped = gaps[0].Lost; batch.Dropped == 0 {
					sequence++ // a batch that never came
				}
			}
			gaps = gaps[1:]
		}
		batch.Epoch = s.Epoch
		batch.StampsNs, batch.Values = append(batch.StampsNs, s.MonoNs), append(batch.Values, s.Value)
	}
	emit()
	b.Append(energy.Batch{Sequence: sequence, Epoch: lastEpoch(samples), CompleteUntilNs: r.CompleteUntilNs})
	return b.Snapshot(), nil
}

func lastEpoch(samples []energy.Sample) uint32 {
	if len(samples) == 0 {
		return 0
	}
	return samples[len(samples)-1].Epoch
}
