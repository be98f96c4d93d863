package energy

import "testing"

func TestDurationsReadWell(t *testing.T) {
	for ns, want := range map[int64]string{
		350e3: "0.35 ms", 25e6: "25 ms", 19_984_000: "20 ms", 999e6: "999 ms", 999_800_000: "1 s", 1e9: "1 s", 8_342e6: "8.34 s", 10_000_400_000: "10 s",
		120e9: "120 s", 36_000e9: "36000 s", -10e9: "-10 s",
	} {
		if got := DurationText(ns); got != want {
			t.Errorf("%d ns: %q, want %q", ns, got, want)
		}
	}
	for share, want := range map[float64]string{0.0009: "0.09 % of its length", 0.9133: "91 % of its length", 1: "100 % of its length", 1.7: "1.7 times its length"} {
		if got := lengthText(share); got != want {
			t.Errorf("share %v: %q, want %q", share, got, want)
		}
	}
}

// A counter that is read every 10 s says so in seconds.
func TestWideHolesAreToldInSeconds(t *testing.T) {
	domain := Domain{ID: "c", Kind: KindGPU, Reading: ReadingCounter, UpdateNs: 100e6, UnitNum: 1, UnitDen: 1000}
	var samples []Sample
	for i := range int64(6) {
		samples = append(samples, Sample{MonoNs: i * 10_000_300_000, Value: i * 7_000_000})
	}
	trace, err := NewTrace(domain, samples, 60e9)
	if err != nil {
		t.Fatal(err)
	}
	w, err := trace.Window(14e9, 25e9)
	if err != nil {
		t.Fatal(err)
	}
	want := "no counter change is known for 10 s at the window's begin, 91 % of its length (period 100 ms); the counter was interpolated there"
	if len(w.Warnings) == 0 || w.Warnings[0].Message != want {
		t.Errorf("warnings %+v", w.Warnings)
	}
}
