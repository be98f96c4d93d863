package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/llenergymeasure/llem/sdk"
)

// stream opens a recording and passes its batches to on until that returns false.
func stream(t *testing.T, parameters sdk.Table, on func(sdk.SampleBatch) bool) (*source, []sdk.Domain) {
	t.Helper()
	s := &source{}
	domains, err := s.Open(t.Context(), sdk.OpenRequest{Parameters: parameters})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = s.Stream(ctx, func(b sdk.SampleBatch) error {
		if now := sdk.MonoNow(); b.CompleteUntilNs > now {
			t.Errorf("the watermark lies %d ns in the future", b.CompleteUntilNs-now)
		}
		if !on(b) {
			cancel()
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, domains
}

// Ten million samples are played without being held, whether their domains are
// stored one after the other or side by side.
func TestTenMillionSamples(t *testing.T) {
	for name, write := range map[string]func(t *testing.T, dir string) (path string, samples int){
		"trial": manyRows, "csv": manyLines,
	} {
		t.Run(name, func(t *testing.T) {
			path, want := write(t, t.TempDir())
			runtime.GC()
			var m runtime.MemStats
			got, batches, most := 0, 0, uint64(0)
			stream(t, sdk.Table{"path": path, "start": startAligned}, func(b sdk.SampleBatch) bool {
				if batches++; batches%200 == 0 {
					runtime.GC()
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapAlloc)
				}
				got += len(b.MonoNs)
				return got < want
			})
			if got != want || most == 0 || most > 32<<20 {
				t.Errorf("%d of %d samples came, %d MiB were held", got, want, most>>20)
			}
		})
	}
}

func manyRows(t *testing.T, dir string) (string, int) {
	const n = 5_000_000
	path := filepath.Join(dir, powerFile)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := parquet.NewGenericWriter[powerRow](f, parquet.MaxRowsPerRowGroup(128<<10))
	rows := make([]powerRow, 1000)
	var notes []recording
	for _, id := range []string{"a", "b"} {
		for i := 0; i < n; i += len(rows) {
			for k := range rows {
				rows[k] = powerRow{Domain: id, MonoNs: int64(i+k) * 1000, Value: int64(k)}
			}
			if _, err := w.Write(rows); err != nil {
				t.Fatal(err)
			}
		}
		notes = append(notes, recording{Domain: domain{ID: id, Kind: "gpu", Reading: "instant", UnitNum: 1, UnitDen: 1}})
	}
	w.SetKeyValueMetadata(recordingsKey, note(t, notes))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path, 2 * n
}

func manyLines(t *testing.T, dir string) (string, int) {
	const n = 500_000
	path := filepath.Join(dir, "x.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprint(w, head)
	for i := range n {
		fmt.Fprintf(w, "%d,rapl/package-0,%d\n%d,nvml/gpu-0,%d\n", 1e18+i*1000, i, 1e18+i*1000, i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path, 2 * n
}

// Recorded time passes as time does, and each lap is a restart of the sensor.
func TestLoop(t *testing.T) {
	var stamps []int64
	var epochs []uint32
	began := sdk.MonoNow()
	s, domains := stream(t, sdk.Table{"path": file(t, "x.csv", side(8)), "loop": true, "domains": []any{"rapl/package-0"}}, func(b sdk.SampleBatch) bool {
		for _, ns := range b.MonoNs {
			stamps, epochs = append(stamps, ns), append(epochs, b.Epoch)
		}
		return len(stamps) < 20
	})
	if len(domains) != 1 || domains[0].ID != "rapl/package-0" || domains[0].Unit != sdk.UnitJoule {
		t.Errorf("%+v", domains)
	}
	if stamps[0] < began || epochs[7] != 0 || epochs[8] != 1 || epochs[16] != 2 {
		t.Errorf("begun at %d: %v in epochs %v", began, stamps, epochs)
	}
	for i := 8; i < 16; i++ {
		if stamps[i]-stamps[i-8] != stamps[8]-stamps[0] {
			t.Errorf("the laps differ: %v", stamps)
		}
	}
	if lap := stamps[8] - stamps[0]; lap != s.voices[0].lapNs || lap < 150e6 || lap > 170e6 {
		t.Errorf("a lap takes %d ns", lap)
	}
}

// The watermark moves on when no sample comes, never beyond the recorded one, and
// stands there after the end.
func TestTheEnd(t *testing.T) {
	const head = `# {"domain": {"id": "a", "kind": "gpu", "reading": "instant", "unit_num": 1, "unit_den": 1}, "complete_until_ns": 1000000000}
stamp_ns,domain,value
`
	s := &source{}
	if _, err := s.Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"path": file(t, "x.csv", head+"100000000,a,5\n120000000,a,6\n")}}); err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	var marks []int64
	samples, v := 0, s.voices[0]
	v.emit = func(b sdk.SampleBatch) error {
		marks, samples = append(marks, b.CompleteUntilNs-s.offsetNs), samples+len(b.MonoNs)
		return nil
	}
	for _, step := range []struct {
		until, next, mark int64
		batches, samples  int
	}{
		{110e6, 120e6, 100e6, 1, 1},
		{119e6, 120e6, 100e6, 1, 1},
		{120e6, 1e9, 120e6, 2, 2},
		{210e6, 1e9, 120e6, 2, 2}, // too little to be told
		{500e6, 1e9, 500e6, 3, 2},
		{2e9, 0, 1e9, 4, 2},
		{3e9, 0, 1e9, 4, 2},
	} {
		next, more, err := v.play(step.until)
		if err != nil || next != step.next || more != (step.next > 0) {
			t.Errorf("until %d: next %d, %v, %v", step.until, next, more, err)
		}
		if len(marks) != step.batches || samples != step.samples || marks[len(marks)-1] != step.mark {
			t.Errorf("until %d: %d samples, watermarks %d", step.until, samples, marks)
		}
	}
}

// A trial as the first version stored it is still played.
func TestFirstVersion(t *testing.T) {
	path, err := filepath.Abs("../../core/result/testdata/v1")
	if err != nil {
		t.Fatal(err)
	}
	ended := map[string]bool{}
	_, domains := stream(t, sdk.Table{"path": path, "start": startAligned}, func(b sdk.SampleBatch) bool {
		ended[b.DomainID] = len(b.MonoNs) == 0
		return len(ended) < 2 || !ended["rapl/package-0"] || !ended["sim/dram"]
	})
	if len(domains) != 2 || !domains[1].Estimated || domains[0].Reading != sdk.ReadingCounter {
		t.Errorf("%+v", domains)
	}
}

// The end of a recording says what to do about it, and where it is of another
// machine and time is told at once.
func TestTheEndOfARecordingIsSaid(t *testing.T) {
	s := &source{}
	path := file(t, "short.csv", side(20))
	if _, err := s.Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"path": path}}); err != nil {
		t.Fatal(err)
	}
	if w := s.OpenWarnings(); len(w) != 1 || w[0].Code != sdk.CodeReplayedSource || !strings.Contains(w[0].Message, path) {
		t.Errorf("it says %v", w)
	}
	err := s.Stream(t.Context(), func(sdk.SampleBatch) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "short.csv ended after 0.38") || !strings.HasSuffix(err.Error(), "set loop = true or take a longer one") {
		t.Errorf("at the end: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
