package result

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/device"
)

func TestReadings(t *testing.T) {
	var rows []device.Reading
	for i := range int64(60) {
		row := device.Reading{MonoNs: 1e9 + i*1_000_000_007, SMClockMHz: ptr(int64(1980)), LimitMilliW: ptr(int64(700_000)), Reasons: ptr(uint64(4))}
		if i >= 58 { // known late, and then not any more
			row.TemperatureC, row.SMClockMHz = ptr(60+i), nil
		}
		rows = append(rows, row)
	}
	rows[3].Reasons = ptr(uint64(math.MaxUint64))
	text, err := json.Marshal(NewReadings(rows))
	if err != nil || len(text) > 1100 {
		t.Errorf("%d bytes for a minute: %s, %v", len(text), text, err)
	}
	var back Readings
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, back.Rows()); diff != "" {
		t.Errorf("round trip (-written +read):\n%s", diff)
	}
	if back.UtilisationPct != nil || NewReadings(nil) != nil || (*Readings)(nil).Rows() != nil {
		t.Error("what nobody read has a column")
	}
	if got, _ := back.SMClockMHz.MarshalText(); string(got) != "1980*58 -*2" {
		t.Errorf("the clocks are %q", got)
	}
}

func FuzzColumn(f *testing.F) {
	for _, s := range []string{"", "1980*58 1965 - 1980", "1*0", "-*999999999", "x", "9223372036854775808", "1*2*3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c, again Column
		if c.UnmarshalText([]byte(text)) != nil {
			return
		}
		short, err := c.MarshalText()
		if err != nil || again.UnmarshalText(short) != nil || cmp.Diff(c, again) != "" {
			t.Errorf("%q becomes %q, %v", text, short, err)
		}
	})
}
