package energy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzWindow feeds arbitrary batches through a Builder and asks for an arbitrary
// window: no panic, and joules only where they are finite, positive, within what
// the samples allow and named by method.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{}, uint8(0), int64(0), int64(10), int64(100e6), int64(0), false)
	for reading := range uint8(4) {
		var data []byte
		for i := range 40 {
			data = binary.LittleEndian.AppendUint64(data, uint64(i)*50e6)
			data = binary.LittleEndian.AppendUint64(data, uint64(i)*1000+5)
			data = append(data, 0)
		}
		f.Add(data, reading, int64(100e6), int64(1600e6), int64(50e6), int64(25e6), reading == 2)
		f.Add(data, reading, int64(0), int64(math.MaxInt64), int64(1), int64(1), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, reading uint8, from, to, update, averaging int64, changes bool) {
		d := watts([]Reading{ReadingCounter, ReadingInstant, ReadingTrailingMean, ReadingIntervalMean}[reading%4])
		d.UpdateNs, d.AveragingNs, d.ChangesOnly = update, averaging, changes
		if reading >= 128 {
			d.MostPowerW = 1000
		}
		if reading&64 != 0 {
			d.Kind = KindDRAM // may draw nothing
		}
		b, err := NewBuilder(d)
		if err != nil {
			return
		}
		lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
		last := int64(0)
		for seq := uint64(0); len(data) >= 17; seq++ {
			at, v, flag := int64(binary.LittleEndian.Uint64(data)), int64(binary.LittleEndian.Uint64(data[8:])), data[16]
			data = data[17:]
			b.Append(Batch{Sequence: seq + uint64(flag>>4), Epoch: uint32(flag & 3), Dropped: uint64(flag >> 7), StampsNs: []int64{at}, Values: []int64{v}, CompleteUntilNs: last})
			last = max(last, at)
		}
		b.Append(Batch{Sequence: math.MaxUint64, CompleteUntilNs: last})
		tr := b.Snapshot()
		previous := int64(-1)
		for _, s := range tr.Samples() {
			if s.MonoNs <= previous {
				t.Fatalf("stamps do not rise: %d after %d", s.MonoNs, previous)
			}
			previous, lo, hi = s.MonoNs, min(lo, s.Value), max(hi, s.Value)
		}
		_ = tr.Warnings()
		w, err := tr.Window(from, to)
		back, restoreErr := Restore(Stored{d, tr.CompleteUntilNs, tr.Dropped, tr.PeriodNs(), tr.Samples(), tr.Gaps(), tr.Problems()})
		if restoreErr != nil {
			t.Fatal(restoreErr)
		}
		again, againErr := back.Window(from, to)
		if diff := cmp.Diff(w, again); diff != "" || fmt.Sprint(err) != fmt.Sprint(againErr) {
			t.Fatalf("after Restore: %s %v, %v", diff, err, againErr)
		}
		if from >= 0 && to > from+4 && to < math.MaxInt64/2 {
			quarter := (to - from) / 4
			s, err := tr.Spans([]Span{{from, from + quarter}, {to - quarter, to}})
			if err == nil && (!(s.EnergyJ > 0) || math.IsInf(s.EnergyJ, 0) || !(s.RandomRel >= 0) || !(s.CoverageRatio >= 0 && s.CoverageRatio <= 1)) {
				t.Fatalf("spans: %+v", s)
			}
		}
		if err != nil {
			var e *WindowError
			if !errors.As(err, &e) || e.Code == "" || errors.Is(err, ErrIncomplete) == errors.Is(err, ErrInvalid) {
				t.Fatalf("an error without a reason: %v", err)
			}
			if w.EnergyJ != 0 {
				t.Fatalf("joules beside an error: %+v", w)
			}
			return
		}
		if !(w.EnergyJ > 0) || math.IsInf(w.EnergyJ, 0) || w.Method == "" || math.IsNaN(w.RandomRel) || w.RandomRel < 0 || !(w.AliasRel >= 0 && w.AliasRel < 1) || !(w.CoverageRatio >= 0 && w.CoverageRatio <= 1) {
			t.Fatalf("%+v", w)
		}
		if d.Reading == ReadingCounter {
			if most := delta(lo, hi) / 1000; w.EnergyJ > most*(1+1e-9)+1e-9 {
				t.Fatalf("%g J from a counter that rose by %g J", w.EnergyJ, most)
			}
			return
		}
		if lo < 0 && !code(w, CodeNegativePower) {
			lo = 0 // where it is not said it is not in the window
		}
		if d.MostPowerW > 0 {
			hi = min(hi, 1e6)
		}
		slack := 1e-9 * (math.Abs(float64(lo)) + math.Abs(float64(hi)) + 1) / 1000
		if w.MeanPowerW < float64(lo)/1000-slack || w.MeanPowerW > float64(hi)/1000+slack {
			t.Fatalf("mean %g W outside the samples' %d to %d mW", w.MeanPowerW, lo, hi)
		}
	})
}
