package stats

import "testing"

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{
		0: "0 %", 0.0043: "0.43 %", 0.05: "5 %", 0.5: "50 %", 0.1234: "12 %", 0.00012: "0.012 %", 1.5: "150 %",
		0.00001: "<0.01 %", 1.1e-15: "<0.01 %", -1e-9: "<0.01 %",
	} {
		if got := Percent(share); got != want {
			t.Errorf("Percent(%v) = %q, want %q", share, got, want)
		}
	}
}
