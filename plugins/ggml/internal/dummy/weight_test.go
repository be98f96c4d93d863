package dummy

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// unhalf decodes binary16, independently of half.
func unhalf(b uint16) float64 {
	exponent, mantissa := int(b>>10&31), float64(b&1023)
	v := mantissa * 0x1p-24
	if exponent > 0 {
		v = (1 + mantissa/1024) * math.Ldexp(1, exponent-15)
	}
	if exponent == 31 {
		v = math.Inf(1)
	}
	if b&0x8000 != 0 {
		v = -v
	}
	return v
}

func TestHalfIsNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float32Range(-70000, 70000).Draw(t, "x")
		if rapid.Bool().Draw(t, "small") {
			x /= 1 << 26
		}
		b := half(x)
		got := math.Abs(unhalf(b) - float64(x))
		if math.IsInf(unhalf(b), 0) {
			if math.Abs(float64(x)) < 65520 {
				t.Fatalf("half(%g) is infinite", x)
			}
			return
		}
		for _, neighbour := range []uint16{b - 1, b + 1} {
			if d := math.Abs(unhalf(neighbour) - float64(x)); d < got {
				t.Fatalf("half(%g) = %g is farther than %g", x, unhalf(b), unhalf(neighbour))
			}
		}
	})
}

func TestHalfBreaksTiesToEven(t *testing.T) {
	for _, c := range []struct {
		x    float32
		want uint16
	}{
		{1 + 0x1p-11, 0x3c00}, {1 + 3*0x1p-11, 0x3c02}, {-0x1p-25, 0x8000}, {3 * 0x1p-25, 2},
		{0x1p-14, 0x0400}, {0x1p-14 - 0x1p-26, 0x0400}, {65504, 0x7bff}, {65520, 0x7c00},
	} {
		if got := half(c.x); got != c.want {
			t.Errorf("half(%g) = %#x, want %#x", c.x, got, c.want)
		}
	}
}

func TestBfloatBreaksTiesToEven(t *testing.T) {
	for _, c := range []struct {
		x    float32
		want uint16
	}{{1, 0x3f80}, {1 + 0x1p-8, 0x3f80}, {1 + 3*0x1p-8, 0x3f82}, {-2, 0xc000}, {1 + 0x1p-8 + 0x1p-20, 0x3f81}} {
		if got := bfloat(c.x); got != c.want {
			t.Errorf("bfloat(%g) = %#x, want %#x", c.x, got, c.want)
		}
	}
}

func TestQuantisedBlocksStayWithinAStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.Float32Range(-1, 1), quantBlock, quantBlock).Draw(t, "v")
		var most float64
		for _, x := range v {
			most = max(most, math.Abs(float64(x)))
		}
		q8 := Q8_0.encode(nil, v)
		scale := unhalf(binary.LittleEndian.Uint16(q8))
		for i, x := range v {
			got := scale * float64(int8(q8[2+i]))
			// Half a step, the rounding of the scale, and its underflow.
			if math.Abs(got-float64(x)) > most/127*0.5001+most*0x1p-11+127*0x1p-25 {
				t.Fatalf("q8_0: element %d: %g became %g", i, x, got)
			}
		}
		q4 := Q4_0.encode(nil, v)
		scale = unhalf(binary.LittleEndian.Uint16(q4))
		for i, x := range v {
			nibble := q4[2+i%16] >> (4 * (i / 16)) & 15
			got := scale * float64(int(nibble)-8)
			// A whole step on the side opposite to the extreme, which has 7 steps only.
			if math.Abs(got-float64(x)) > most/8*1.0001+most*0x1p-11+8*0x1p-25 {
				t.Fatalf("q4_0: element %d: %g became %g", i, x, got)
			}
		}
	})
}

func TestEncodedSizes(t *testing.T) {
	got := map[WeightType]int{}
	for _, w := range WeightTypes() {
		encoded := w.encode(nil, make([]float32, 64))
		got[w] = len(encoded)
		if int64(len(encoded)) != w.bytes(64) {
			t.Errorf("%s: bytes says %d, encode wrote %d", w, w.bytes(64), len(encoded))
		}
	}
	want := map[WeightType]int{F32: 256, F16: 128, BF16: 128, Q8_0: 68, Q4_0: 36}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
