package nvml

import (
	"encoding/binary"
	"fmt"
	"math"
)

// noMilliW marks a sample that holds no number of milliwatts.
const noMilliW = math.MaxUint64

// decode reads the eight bytes of an NVML value. Types are nvmlValueType_t; a
// fraction is cut off, since counts are whole.
func decode(valueType uint32, b [8]byte) (uint64, error) {
	word := binary.LittleEndian.Uint64(b[:])
	signed := func(v int64) (uint64, error) {
		if v < 0 {
			return 0, fmt.Errorf("value %d is negative", v)
		}
		return uint64(v), nil
	}
	switch valueType {
	case 0: // double
		v := math.Float64frombits(word)
		if !(v >= 0 && v < 1<<63) {
			return 0, fmt.Errorf("value %g is no count", v)
		}
		return uint64(v), nil
	case 1: // unsigned int
		return uint64(uint32(word)), nil
	case 2, 3: // unsigned long, unsigned long long
		return word, nil
	case 4: // signed long long
		return signed(int64(word))
	case 5: // signed int
		return signed(int64(int32(word)))
	case 6: // unsigned short
		return uint64(uint16(word)), nil
	}
	return 0, fmt.Errorf("value type %d is unknown", valueType)
}
