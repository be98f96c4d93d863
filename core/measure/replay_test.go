package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// build makes the named plugins as they are installed.
func build(t *testing.T, names ...string) (bin string) {
	t.Helper()
	bin = t.TempDir() + string(filepath.Separator)
	args := []string{"build", "-o", bin}
	for _, name := range names {
		args = append(args, "../../plugins/"+name)
	}
	if text, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, text)
	}
	return bin
}

// realSource opens one of them with parameters.
type realSource struct {
	Opener
	bin        string
	parameters sdk.Table
}

func (o realSource) Source(ctx context.Context, name string) (Source, error) {
	p, err := host.Start(ctx, host.Command{Path: o.bin + name}, host.Options{StartTimeout: time.Minute})
	if err != nil {
		return Source{}, err
	}
	return Source{Name: name, Request: sdk.OpenRequest{Parameters: o.parameters}, Sensor: p, Kill: p.Kill, Said: p.OpenWarnings}, nil
}

// record records a source until enough is there.
func record(t *testing.T, bin, name string, parameters sdk.Table, enough func(map[string]*energy.Trace) error) map[string]*energy.Trace {
	t.Helper()
	r, err := openSources(t.Context(), realSource{bin: bin, parameters: parameters}, []string{name}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close(t.Context())
	tick := time.NewTicker(watermarkPoll)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		traces := r.traces()
		missing := enough(traces)
		if missing == nil {
			return traces
		}
		if err := r.failure(name); err != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: %v", name, missing)
		}
	}
}

// store makes a trial's directory of traces.
func store(t *testing.T, traces map[string]*energy.Trace, fromNs, toNs int64) string {
	t.Helper()
	d, err := result.Create(t.TempDir(), "replay", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, err := d.Begin("cell", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.WritePower(traces, fromNs, toNs); err != nil {
		t.Fatal(err)
	}
	trial := result.Trial{SchemaVersion: result.SchemaVersion, Cell: result.Cell{ID: "cell"}, Status: result.StatusOK}
	if err := a.Publish(trial); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(d.Path(), "runs", "cell-b0")
}

// moved is a stored recording as a replay of it must come out.
func moved(t *testing.T, trace *energy.Trace, dir string, offsetNs int64) *energy.Trace {
	t.Helper()
	s := energy.Stored{Domain: trace.Domain, CompleteUntilNs: trace.CompleteUntilNs + offsetNs, Dropped: trace.Dropped}
	s.Domain.ID, s.Domain.Source = "replay/"+s.Domain.ID, "replay"
	s.Domain.Doc = strings.TrimSuffix("replayed from "+dir+": "+s.Domain.Doc, ": ")
	if s.Domain.ContainedIn != "" {
		s.Domain.ContainedIn = "replay/" + s.Domain.ContainedIn
	}
	for _, x := range trace.Samples() {
		x.MonoNs += offsetNs
		s.Samples = append(s.Samples, x)
	}
	for _, g := range trace.Gaps() {
		s.Gaps = append(s.Gaps, energy.Gap{FromNs: g.FromNs + offsetNs, ToNs: g.ToNs + offsetNs, Lost: g.Lost})
	}
	for _, p := range trace.Problems() {
		p.FirstNs, p.LastNs = p.FirstNs+offsetNs, p.LastNs+offsetNs
		s.Problems = append(s.Problems, p)
	}
	out, err := energy.Restore(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// replays plays a directory and compares every trace, and windows over it, with
// the recording.
func replays(t *testing.T, bin, dir string) {
	t.Helper()
	stored, err := result.ReadPower(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, end := int64(1<<62), int64(0)
	for _, trace := range stored {
		end = max(end, trace.CompleteUntilNs)
		if s := trace.Samples(); len(s) > 0 {
			first, end = min(first, s[0].MonoNs), max(end, s[len(s)-1].MonoNs)
		}
	}
	var offset int64
	got := record(t, bin, "replay", sdk.Table{"path": dir, "start": "aligned"}, func(traces map[string]*energy.Trace) error {
		least := int64(1 << 62)
		for _, trace := range traces {
			if s := trace.Samples(); len(s) > 0 {
				least = min(least, s[0].MonoNs)
			}
		}
		offset = least - first
		for id, trace := range stored {
			if diff := compareTraces(moved(t, trace, dir, offset), traces["replay/"+id]); diff != "" {
				return fmt.Errorf("%s (-recorded +replayed):\n%s", id, diff)
			}
		}
		return nil
	})
	for id, trace := range stored {
		sameWindows(t, trace, moved(t, trace, dir, offset), got["replay/"+id], offset)
	}
}

// compareTraces tells how two traces differ. In which order problems came up is
// no matter.
func compareTraces(want, got *energy.Trace) string {
	if diff := cmp.Diff(want.Samples(), got.Samples()); diff != "" {
		return diff
	}
	gaps := func(t *energy.Trace) (all [][2]int64) {
		for _, g := range t.Gaps() {
			all = append(all, [2]int64{g.FromNs, g.ToNs})
		}
		return all
	}
	problems := func(t *energy.Trace) []energy.Problem {
		return slices.SortedFunc(slices.Values(t.Problems()), func(a, b energy.Problem) int { return strings.Compare(a.Code, b.Code) })
	}
	return cmp.Diff(want.CompleteUntilNs, got.CompleteUntilNs) + cmp.Diff(want.PeriodNs(), got.PeriodNs()) +
		cmp.Diff(gaps(want), gaps(got)) + cmp.Diff(problems(want), problems(got))
}

// sameWindows compares windows to the last bit: with the recording itself once
// the offset is taken off, and with the moved one in all that is said of them.
func sameWindows(t *testing.T, recorded, moved, replayed *energy.Trace, offset int64) {
	t.Helper()
	s := recorded.Samples()
	if len(s) < 2 {
		return
	}
	random := rand.New(rand.NewPCG(3, uint64(len(s))))
	begin, end := s[0].MonoNs, s[len(s)-1].MonoNs
	for range 20 {
		from := begin + random.Int64N(end-begin)
		to := from + 1 + random.Int64N(end-from)
		want, wantErr := recorded.Window(from, to)
		same, sameErr := moved.Window(from+offset, to+offset)
		got, gotErr := replayed.Window(from+offset, to+offset)
		sorted := func(w []energy.Warning) []energy.Warning {
			return slices.SortedFunc(slices.Values(w), func(a, b energy.Warning) int { return strings.Compare(a.Code+a.Message, b.Code+b.Message) })
		}
		same.Warnings, got.Warnings = sorted(same.Warnings), sorted(got.Warnings)
		if diff := cmp.Diff(same, got); diff != "" || fmt.Sprint(sameErr) != fmt.Sprint(gotErr) {
			t.Errorf("window of %s: errors %v and %v (-moved +replayed):\n%s", recorded.Domain.ID, sameErr, gotErr, diff)
		}
		got.FromNs, got.ToNs, got.Domain, got.Warnings, want.Warnings = from, to, want.Domain, nil, nil
		if wantErr != nil || gotErr != nil {
			if (wantErr == nil) != (gotErr == nil) {
				t.Errorf("window of %s: errors %v and %v", recorded.Domain.ID, wantErr, gotErr)
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("window of %s (-recorded +replayed):\n%s", recorded.Domain.ID, diff)
		}
	}
}

// What the simulator's sensors gave, with their faults, is played by the real
// plugin so that every window is the same to the last bit.
func TestReplayOfRealRecordings(t *testing.T) {
	t.Parallel()
	bin := build(t, "sim", "replay")
	for _, c := range []struct{ reading, fault string }{
		{"counter", "none"}, {"counter", "restart"}, {"counter", "gap"}, {"counter", "stuck_watermark"},
		{"instant", "backwards"}, {"trailing_mean", "gap"}, {"interval_mean", "repeat"},
	} {
		t.Run(c.reading+"/"+c.fault, func(t *testing.T) {
			t.Parallel()
			traces := record(t, bin, "sim", sdk.Table{
				"reading": c.reading, "fault": c.fault, "fault_after_ms": 400.0, "wave": "sine", "wave_w": 20.0, "noise": 0.1, "lag_ms": 3.0,
				"domains": []any{"cpu_package", "dram", "gpu"},
			}, func(traces map[string]*energy.Trace) error {
				for id, trace := range traces {
					if s := trace.Samples(); len(s) < 60 && (len(s) < 30 || len(trace.Problems()) == 0) {
						return fmt.Errorf("%s has %d samples", id, len(s))
					}
				}
				return nil
			})
			ids := slices.Sorted(maps.Keys(traces))
			s := traces[ids[0]].Samples()
			replays(t, bin, store(t, traces, s[0].MonoNs, s[len(s)-1].MonoNs))
		})
	}
}

// Any trouble in any order, as a fuzzed source would make it, is played again:
// hundreds of recordings side by side in one file.
func TestReplayOfAnyRecording(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(11, 12))
	readings := []energy.Reading{energy.ReadingCounter, energy.ReadingInstant, energy.ReadingTrailingMean, energy.ReadingIntervalMean}
	traces, kinds := map[string]*energy.Trace{}, map[string]int{}
	for i := range 300 {
		d := energy.Domain{
			ID: fmt.Sprintf("any/%d", i), Kind: energy.KindNode, UnitNum: 1, UnitDen: 1000, Source: "any",
			Reading: readings[i%4], LagNs: random.Int64N(2) * 1e7, ChangesOnly: random.IntN(3) == 0, UpdateNs: random.Int64N(2) * 1e8,
		}
		if d.Reading == energy.ReadingTrailingMean {
			d.AveragingNs = 1e8
		}
		b, err := energy.NewBuilder(d)
		if err != nil {
			t.Fatal(err)
		}
		troubled(b, random, i%5 == 0)
		traces[d.ID] = b.Snapshot()
		for _, p := range traces[d.ID].Problems() {
			kinds[p.Code]++
		}
	}
	if len(kinds) < 10 {
		t.Errorf("only these kinds of trouble were made: %v", kinds)
	}
	replays(t, build(t, "replay"), store(t, traces, 0, 1<<61))
}

// troubled appends batches in which much goes wrong.
func troubled(b *energy.Builder, random *rand.Rand, shapes bool) {
	ns, value, sequence, epoch := int64(1e12), int64(1e6), uint64(0), uint32(0)
	rare := func() bool { return random.IntN(40) == 0 }
	for range 20 + random.IntN(100) {
		batch := energy.Batch{Sequence: sequence, Epoch: epoch}
		for range 1 + random.IntN(6) {
			ns, value = ns+1+random.Int64N(2e8), value+random.Int64N(9000)
			batch.StampsNs, batch.Values = append(batch.StampsNs, ns), append(batch.Values, value)
			extra := func(ns, value int64) {
				batch.StampsNs, batch.Values = append(batch.StampsNs, ns), append(batch.Values, value)
			}
			if rare() {
				extra(ns, value)
			}
			if rare() {
				extra(ns, value+5)
			}
			if rare() {
				extra(ns-1-random.Int64N(1e9), value)
			}
			if rare() {
				extra(-random.Int64N(100)-1, value)
			}
		}
		if batch.CompleteUntilNs = ns; rare() {
			batch.CompleteUntilNs -= random.Int64N(1e9)
		}
		if rare() {
			batch.Dropped = 1 + random.Uint64N(5)
		}
		if rare() {
			batch.Sequence += 1 + random.Uint64N(3)
		}
		if sequence = batch.Sequence + 1; rare() && batch.Sequence > 0 {
			batch.Sequence--
		}
		if rare() {
			epoch++
		} else if rare() && epoch > 0 {
			epoch--
		}
		if shapes && rare() {
			batch.StampsNs = append(batch.StampsNs, ns+1)
		}
		b.Append(batch)
	}
	b.Append(energy.Batch{Sequence: sequence, Epoch: epoch, CompleteUntilNs: ns + random.Int64N(2)*3e8})
}

// A part of a real H100's ring, written as the CSV that a user would attach, is
// played as it was, though its stamps are those of another clock.
func TestReplayOfAnH100(t *testing.T) {
	t.Parallel()
	d := energy.Domain{ID: "nvml/gpu-0", Kind: energy.KindGPU, Reading: energy.ReadingIntervalMean, UpdateNs: 20e6, UnitNum: 1, UnitDen: 1000, Accuracy: energy.Accuracy{GainRel: 0.05}}
	described, err := json.Marshal(map[string]any{"domain": d})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := os.ReadFile("../energy/testdata/h100/samples.csv")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("# %s\nstamp_ns,domain,value\n", described)
	var samples []energy.Sample
	for line := range strings.Lines(string(ring)) {
		var us, mw int64
		if _, err := fmt.Sscanf(line, "%d,%d", &us, &mw); err != nil {
			t.Fatal(err)
		}
		if samples = append(samples, energy.Sample{MonoNs: us * 1000, Value: mw}); len(samples) > 2000 {
			break
		}
		text += fmt.Sprintf("%d,%s,%d\n", us*1000, d.ID, mw)
	}
	samples = samples[:len(samples)-1]
	first, last := samples[0].MonoNs, samples[len(samples)-1].MonoNs
	want, err := energy.NewTrace(d, samples, last)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "h100.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var offset int64
	got := record(t, build(t, "replay"), "replay", sdk.Table{"path": path, "start": "aligned"}, func(traces map[string]*energy.Trace) error {
		trace := traces["replay/"+d.ID]
		if n := len(trace.Samples()); n < len(samples) {
			return fmt.Errorf("%d of %d samples", n, len(samples))
		}
		offset = trace.Samples()[0].MonoNs - first
		if diff := compareTraces(moved(t, want, path, offset), trace); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	sameWindows(t, want, moved(t, want, path, offset), got["replay/"+d.ID], offset)
}
