package result

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
)

// recompute makes every stored window again from power.parquet.
func recompute(t *testing.T, dir string, trial Trial) {
	t.Helper()
	traces, err := ReadPower(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range trial.Windows {
		for _, d := range w.Domains {
			got, err := traces[d.DomainID].Window(w.FromNs, w.ToNs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(d.Window, got); diff != "" {
				t.Errorf("window of %s (-stored +recomputed):\n%s", d.DomainID, diff)
			}
		}
	}
}

func TestStoredWindowsAreRecomputedExactly(t *testing.T) {
	d, traces := testDir(t), sampleTraces(t)
	if err := publish(d, sampleTrial(t, traces), traces); err != nil {
		t.Fatal(err)
	}
	ok, _, problems := ReadTrials(d.Path())
	if len(ok) != 1 || len(problems) > 0 {
		t.Fatal(ok, problems)
	}
	recompute(t, filepath.Join(d.Path(), ok[0].Dir), ok[0])
}

// Any window between the edges asked for has the same joules and errors, for
// any kind of reading, with losses and restarts.
func TestPowerRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		domain := energy.Domain{
			ID: "d", Kind: energy.KindGPU, UnitNum: 1, UnitDen: 1000,
			Reading:  rapid.SampledFrom([]energy.Reading{energy.ReadingCounter, energy.ReadingInstant, energy.ReadingTrailingMean, energy.ReadingIntervalMean}).Draw(r, "reading"),
			LagNs:    rapid.Int64Range(0, 2e8).Draw(r, "lag"),
			UpdateNs: rapid.SampledFrom([]int64{0, 1e8}).Draw(r, "update"), ChangesOnly: rapid.Bool().Draw(r, "changes only"),
		}
		if domain.Reading == energy.ReadingTrailingMean {
			domain.AveragingNs, domain.UpdateNs = 1e9, 1e8
		}
		b, err := energy.NewBuilder(domain)
		if err != nil {
			r.Fatal(err)
		}
		ns, value, epoch := int64(1e9), int64(1e6), uint32(0)
		for i := range rapid.IntRange(10, 200).Draw(r, "batches") {
			batch := energy.Batch{Sequence: uint64(i)}
			switch rapid.IntRange(0, 30).Draw(r, "trouble") {
			case 0:
				batch.Dropped = 3
			case 1:
				epoch++
			}
			batch.Epoch = epoch
			for range rapid.IntRange(1, 8).Draw(r, "samples") {
				ns += rapid.Int64Range(1, 2e8).Draw(r, "step")
				value = max(0, value+rapid.Int64Range(-100, 9000).Draw(r, "change"))
				batch.StampsNs, batch.Values = append(batch.StampsNs, ns), append(batch.Values, value)
			}
			batch.CompleteUntilNs = ns
			b.Append(batch)
		}
		trace := b.Snapshot()
		dir, err := os.MkdirTemp("", "llem-power-")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		from := rapid.Int64Range(1e9, ns-1).Draw(r, "from")
		to := rapid.Int64Range(from+1, ns).Draw(r, "to")
		a := &Attempt{path: dir}
		if err := a.WritePower(map[string]*energy.Trace{"d": trace}, from, to); err != nil {
			r.Fatal(err)
		}
		compare := func(read func(string) (map[string]*energy.Trace, error), from, to int64) {
			back, err := read(dir)
			if err != nil {
				r.Fatal(err)
			}
			want, wantErr := trace.Window(from, to)
			got, gotErr := back["d"].Window(from, to)
			if diff := cmp.Diff(want, got); diff != "" || (wantErr == nil) != (gotErr == nil) {
				r.Fatalf("errors %v and %v (-live +stored):\n%s", wantErr, gotErr, diff)
			}
		}
		compare(ReadPower, from, to)
		inFrom := rapid.Int64Range(from, to-1).Draw(r, "from within")
		inTo := rapid.Int64Range(inFrom+1, to).Draw(r, "to within")
		compare(func(dir string) (map[string]*energy.Trace, error) { return ReadPowerBetween(dir, inFrom, inTo) }, inFrom, inTo)
	})
}

func TestPowerKeepsOnlyWhatTheTrialNeeds(t *testing.T) {
	dir := t.TempDir()
	a := &Attempt{path: dir}
	if err := a.WritePower(sampleTraces(t), 30e9, 31e9); err != nil {
		t.Fatal(err)
	}
	back, err := ReadPower(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := back["rapl/package-0"].Samples()
	if first, last := s[0].MonoNs, s[len(s)-1].MonoNs; first != 19_990e6 || last != 41_010e6 {
		t.Errorf("kept from %d to %d", first, last)
	}
	if _, err := back["rapl/package-0"].Window(30e9, 45e9); err == nil {
		t.Error("a window beyond what was kept was computed")
	}
	if err := a.WritePower(sampleTraces(t), 30e9, 31e9); err == nil {
		t.Error("power was written twice")
	}
}

func TestRequestsRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var want []Request
		dir, err := os.MkdirTemp("", "llem-requests-")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		a := &Attempt{path: dir}
		ns := rapid.Int64Range(0, math.MaxInt64)
		for _, run := range []string{"warm-up", "measured"} {
			var list []sdk.Completion
			for i := range rapid.IntRange(0, 40).Draw(r, "requests") {
				c := sdk.Completion{
					Request: uint32(i), IntendedNs: ns.Draw(r, "intended"), SentNs: ns.Draw(r, "sent"), FirstNs: ns.Draw(r, "first"), LastNs: ns.Draw(r, "last"),
					PromptTokens: rapid.Uint32().Draw(r, "prompt"), OutputTokens: rapid.Uint32().Draw(r, "output"),
					CachedPromptTokens: rapid.Ptr(rapid.Uint32(), true).Draw(r, "cached"), OutputHash: rapid.Ptr(rapid.Uint64(), true).Draw(r, "hash"),
					FinishReason: rapid.SampledFrom([]string{"", "length", "stop"}).Draw(r, "reason"), Error: rapid.StringN(0, 20, -1).Draw(r, "error"),
				}
				for range rapid.IntRange(0, 5).Draw(r, "chunks") {
					c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: ns.Draw(r, "chunk"), Tokens: rapid.Uint32().Draw(r, "tokens")})
				}
				list = append(list, c)
				want = append(want, Request{Run: run, Completion: c})
			}
			if err := a.WriteRequests(list, run); err != nil {
				r.Fatal(err)
			}
		}
		if err := a.requests.close(); err != nil {
			r.Fatal(err)
		}
		got, err := ReadRequests(dir)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("-written +read:\n%s", diff)
		}
	})
}

func TestWorkIsStoredByContent(t *testing.T) {
	d := testDir(t)
	items := make([]sdk.WorkItem, 3000)
	for i := range items {
		items[i] = sdk.WorkItem{TokenIDs: []uint32{uint32(i), math.MaxUint32, 7}[:1+i%3], MaxTokens: uint32(i % 9), ArrivalOffsetNs: int64(i) * 1e6}
	}
	if err := d.WriteWork("sha256:ab", items); err != nil {
		t.Fatal(err)
	}
	got, err := d.ReadWork("sha256:ab")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(items, got); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
	if err := d.WriteWork("sha256:ab", nil); err != nil {
		t.Fatal(err)
	}
	if got, err = d.ReadWork("sha256:ab"); err != nil || len(got) != len(items) {
		t.Errorf("written again: %d items, %v", len(got), err)
	}
	for _, hash := range []string{"", "..", "///"} {
		if err := d.WriteWork(hash, items); err == nil {
			t.Errorf("hash %q was taken", hash)
		}
	}
	entries, err := os.ReadDir(filepath.Join(d.Path(), "work"))
	if err != nil || len(entries) != 1 {
		t.Errorf("work/ holds %v (%v)", entries, err)
	}
}

// The columns are part of the file contract: other tools read them.
func TestColumns(t *testing.T) {
	var b strings.Builder
	for _, s := range []struct {
		file   string
		schema *parquet.Schema
	}{{"power.parquet", parquet.SchemaOf(powerRow{})}, {"requests.parquet", parquet.SchemaOf(requestRow{})}, {"work.parquet", parquet.SchemaOf(workRow{})}} {
		b.WriteString(s.file + "\n" + s.schema.String() + "\n")
	}
	golden := "testdata/columns.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

// A damaged file is an error and never a panic; what can be read is sane.
func FuzzReadPower(f *testing.F) { fuzzSeries(f, powerFile, readPowerFile) }

func FuzzReadRequests(f *testing.F) { fuzzSeries(f, requestsFile, readRequestsFile) }

func readPowerFile(dir string) error {
	traces, err := ReadPower(dir)
	for _, trace := range traces {
		_, _ = trace.Window(30e9, 31e9) // an error is fine
	}
	return err
}

func readRequestsFile(dir string) error {
	_, err := ReadRequests(dir)
	return err
}

func fuzzSeries(f *testing.F, name string, read func(dir string) error) {
	good, err := os.ReadFile(filepath.Join("testdata/v1", name))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("PAR1PAR1"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := read(dir); err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}

func TestDamagedSeriesAreNamed(t *testing.T) {
	good, err := os.ReadFile("testdata/v1/power.parquet")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, powerFile)
	for at := 0; at < len(good); at += 1 + len(good)/400 {
		bad := append([]byte(nil), good...)
		bad[at] ^= 0xff
		for _, data := range [][]byte{bad, good[:at]} {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := readPowerFile(dir); err != nil && !strings.Contains(err.Error(), path) {
				t.Fatalf("byte %d: the error does not name the file: %v", at, err)
			}
		}
	}
	// Another kind of file under the right name.
	other, err := os.ReadFile("testdata/v1/requests.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, other, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPower(dir); err == nil || !strings.Contains(err.Error(), "no column [domain]") {
		t.Errorf("requests read as power: %v", err)
	}
}

func BenchmarkWriteRequests(b *testing.B) {
	list := make([]sdk.Completion, 10_000)
	for i := range list {
		list[i] = sdk.Completion{Request: uint32(i), SentNs: int64(i) * 1e6, FirstNs: int64(i)*1e6 + 5, LastNs: int64(i)*1e6 + 9, PromptTokens: 128, OutputTokens: 64, FinishReason: "length"}
	}
	a := &Attempt{path: b.TempDir()}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.WriteRequests(list, "measured"); err != nil {
			b.Fatal(err)
		}
	}
	if err := a.requests.close(); err != nil {
		b.Fatal(err)
	}
}
