package nvml

import (
	"encoding/binary"
	"math"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, x := range []struct {
		name string
		kind uint32
		word uint64
		want uint64
		ok   bool
	}{
		{"double", 0, math.Float64bits(12.75), 12, true},
		{"NaN", 0, math.Float64bits(math.NaN()), 0, false},
		{"negative double", 0, math.Float64bits(-1), 0, false},
		{"infinite", 0, math.Float64bits(math.Inf(1)), 0, false},
		{"double of 2^63", 0, math.Float64bits(1 << 63), 0, false},
		{"unsigned int with rubbish above", 1, 0xdeadbeef_00000007, 7, true},
		{"unsigned long", 2, 1 << 40, 1 << 40, true},
		{"unsigned long long", 3, math.MaxUint64, math.MaxUint64, true},
		{"signed long long", 4, 5, 5, true},
		{"negative long long", 4, math.MaxUint64, 0, false},
		{"signed int", 5, 0xffffffff_00000009, 9, true},
		{"negative int", 5, 0xffffffff, 0, false},
		{"unsigned short", 6, 0x1_0003, 3, true},
		{"unknown", 7, 1, 0, false},
	} {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], x.word)
		if got, err := decode(x.kind, b); got != x.want || (err == nil) != x.ok {
			t.Errorf("%s: %d, %v", x.name, got, err)
		}
	}
}
