package energy

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A recording with every kind of trouble is the same after Restore.
func TestRestore(t *testing.T) {
	d := joules()
	d.UpdateNs = 0
	b, err := NewBuilder(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []Batch{
		{Sequence: 0, StampsNs: []int64{-1, 1e9, 2e9, 2e9, 15e8}, Values: []int64{0, 10, 20, 20, 20}, CompleteUntilNs: 2e9},
		{Sequence: 2, StampsNs: []int64{3e9}, Values: []int64{30}, CompleteUntilNs: 3e9},
		{Sequence: 2, StampsNs: []int64{3e9}, Values: []int64{31}},
		{Sequence: 3, Dropped: 4, Epoch: 1, StampsNs: []int64{5e9}, Values: []int64{50}, CompleteUntilNs: 1e9},
		{Sequence: 4, Epoch: 1, StampsNs: []int64{6e9, 65e8}, Values: []int64{60}},
		{Sequence: 5, Epoch: 0, StampsNs: []int64{7e9}, Values: []int64{70}, CompleteUntilNs: 9e9},
	} {
		b.Append(batch)
	}
	want := b.Snapshot()
	if len(want.Problems()) != 10 {
		t.Errorf("%d kinds of trouble were made: %v", len(want.Problems()), want.Problems())
	}
	got, err := Restore(Stored{want.Domain, want.CompleteUntilNs, want.Dropped, want.PeriodNs(), want.Samples(), want.Gaps(), want.Problems()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Trace{}, problem{})); diff != "" {
		t.Error(diff)
	}
}

// What a window does not take for power stays in the recording, and is refused again
// after Restore, to the last bit.
func TestRestoreKeepsWhatWindowsRefuse(t *testing.T) {
	d := watts(ReadingIntervalMean)
	b, err := NewBuilder(d)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(200) {
		v := 300_000 + i
		switch {
		case i%10 == 3:
			v = 0
		case i == 57:
			v = 1 << 62
		}
		b.Append(Batch{Sequence: uint64(i), StampsNs: []int64{1e9 + i*100e6}, Values: []int64{v}, CompleteUntilNs: 1e9 + i*100e6})
	}
	live := b.Snapshot()
	back, err := Restore(Stored{d, live.CompleteUntilNs, live.Dropped, live.PeriodNs(), live.Samples(), live.Gaps(), live.Problems()})
	if err != nil || len(live.Samples()) != 200 || len(live.Problems()) != 0 || len(live.Warnings()) != 2 {
		t.Fatalf("%d samples, %v, %v, %v", len(live.Samples()), live.Problems(), live.Warnings(), err)
	}
	want, err := live.Window(2e9, 19e9)
	if err != nil || !code(want, CodeZeroSample) || !code(want, CodeImplausible) || math.Abs(want.MeanPowerW-300.1) > 0.1 || want.CoverageRatio > 0.9 {
		t.Errorf("%+v, %v", want, err)
	}
	got, err := back.Window(2e9, 19e9)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestRestoreRefusesWhatNoTraceCouldBe(t *testing.T) {
	for want, s := range map[string]Stored{
		"has no id":                       {},
		"sample 1, stamped 5 ns, is out":  {Domain: joules(), Samples: []Sample{{MonoNs: 5}, {MonoNs: 5}}},
		"sample 0, stamped -1 ns, is out": {Domain: joules(), Samples: []Sample{{MonoNs: -1}}},
		"the gap at 4 ns is out of order": {Domain: joules(), Gaps: []Gap{{FromNs: 1, ToNs: 5}, {FromNs: 4, ToNs: 6}}},
		"the gap at 7 ns is out of order": {Domain: joules(), Gaps: []Gap{{FromNs: 7, ToNs: 7}}},
	} {
		if _, err := Restore(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
