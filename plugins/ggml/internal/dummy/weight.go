package dummy

import (
	"encoding/binary"
	"math"
)

// WeightType is the number format of a file's matrices.
type WeightType string

// The weight types. q8_0 and q4_0 hold blocks of 32 elements with one
// half-precision scale each.
const (
	F32  WeightType = "f32"
	F16  WeightType = "f16"
	BF16 WeightType = "bf16"
	Q8_0 WeightType = "q8_0"
	Q4_0 WeightType = "q4_0"
)

// WeightTypes lists them.
func WeightTypes() []WeightType { return []WeightType{F32, F16, BF16, Q8_0, Q4_0} }

// quantBlock is the number of elements in a block of q8_0 and q4_0.
const quantBlock = 32

func (w WeightType) blockElements() int {
	if w == Q8_0 || w == Q4_0 {
		return quantBlock
	}
	return 1
}

// bytes is the size of n elements; n is a multiple of blockElements.
func (w WeightType) bytes(n int64) int64 {
	switch w {
	case F16, BF16:
		return 2 * n
	case Q8_0:
		return n / quantBlock * (2 + quantBlock)
	case Q4_0:
		return n / quantBlock * (2 + quantBlock/2)
	}
	return 4 * n
}

// encode appends the elements in the format w. It is written here rather than
// left to the engine's quantiser because that one's rounding depends on the
// compiler's use of fused multiply-add, and files must be equal everywhere.
func (w WeightType) encode(to []byte, v []float32) []byte {
	switch w {
	case F16:
		for _, x := range v {
			to = binary.LittleEndian.AppendUint16(to, half(x))
		}
	case BF16:
		for _, x := range v {
			to = binary.LittleEndian.AppendUint16(to, bfloat(x))
		}
	case Q8_0:
		for len(v) > 0 {
			to = encodeQ8(to, v[:quantBlock])
			v = v[quantBlock:]
		}
	case Q4_0:
		for len(v) > 0 {
			to = encodeQ4(to, v[:quantBlock])
			v = v[quantBlock:]
		}
	default:
		for _, x := range v {
			to = binary.LittleEndian.AppendUint32(to, math.Float32bits(x))
		}
	}
	return to
}

// encodeQ8: the greatest magnitude becomes 127 steps of the scale.
func encodeQ8(to []byte, block []float32) []byte {
	var most float32
	for _, x := range block {
		most = max(most, float32(math.Abs(float64(x))))
	}
	scale := most / 127
	to = binary.LittleEndian.AppendUint16(to, half(scale))
	for _, x := range block {
		var q int8
		if scale > 0 {
			q = int8(math.Round(float64(x / scale)))
		}
		to = append(to, byte(q))
	}
	return to
}

// encodeQ4: the element of greatest magnitude becomes -8 steps, so the scale
// carries its sign; byte i holds element i in its low and element i+16 in its
// high half.
func encodeQ4(to []byte, block []float32) []byte {
	var extreme float32
	for _, x := range block {
		if math.Abs(float64(x)) > math.Abs(float64(extreme)) {
			extreme = x
		}
	}
	scale := extreme / -8
	to = binary.LittleEndian.AppendUint16(to, half(scale))
	step := func(x float32) byte {
		if scale == 0 {
			return 8
		}
		return byte(min(15, math.Floor(float64(x/scale)+8.5)))
	}
	for i := range quantBlock / 2 {
		to = append(to, step(block[i])|step(block[i+quantBlock/2])<<4)
	}
	return to
}

// bfloat rounds to bfloat16, ties to even. x is finite.
func bfloat(x float32) uint16 {
	bits := math.Float32bits(x)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// half rounds to IEEE 754 binary16, ties to even. Magnitudes from 65520 on
// become infinite.
func half(x float32) uint16 {
	bits := math.Float32bits(x)
	sign := uint16(bits >> 16 & 0x8000)
	magnitude := math.Abs(float64(x))
	switch {
	case magnitude >= 65520:
		return sign | 0x7c00
	case magnitude < 0x1p-14:
		// Subnormal: a multiple of 2^-24. Reaching 1024 multiples gives the
		// bits of the least normal number, as it should.
		return sign | uint16(math.RoundToEven(magnitude*0x1p24))
	}
	// Drop 13 bits of the mantissa; a carry moves into the exponent, as it
	// should. The bias of the exponent falls from 127 to 15.
	bits &= 0x7fffffff
	bits += 0xfff + bits>>13&1
	return sign | uint16(bits>>13-(127-15)<<10)
}
