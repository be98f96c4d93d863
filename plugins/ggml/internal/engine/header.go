package engine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// checkHeader walks over a file's header and refuses lengths that the file
// cannot hold. The engine's own reader allocates whatever it finds there, or
// loops that often, so a damaged file would take the process down.
func checkHeader(r io.Reader, size int64) error {
	h := &header{r: bufio.NewReaderSize(r, 64<<10), left: uint64(size)}
	if magic := h.bytes(4); h.err == nil && string(magic) != "GGUF" {
		return errors.New("it does not begin as a GGUF file does")
	}
	if version := h.uint32(); h.err == nil && version != 2 && version != 3 {
		return fmt.Errorf("GGUF version %d; the engine reads versions 2 and 3, little-endian", version)
	}
	tensors, keys := h.uint64(), h.uint64()
	for i := uint64(0); i < keys && h.err == nil; i++ {
		h.skip(h.uint64()) // the key
		h.value(h.uint32())
	}
	for i := uint64(0); i < tensors && h.err == nil; i++ {
		h.tensor(uint64(size))
	}
	return h.err
}

// header reads until the first error, and gives zeros from then on.
type header struct {
	r    *bufio.Reader
	left uint64 // bytes of the file that are still to come
	err  error
}

func (h *header) bytes(n uint64) []byte {
	if h.err == nil && n > h.left {
		h.err = errors.New("the file is truncated, or its header is damaged")
	}
	buffer := make([]byte, 8)[:min(n, 8)]
	if h.err != nil {
		return buffer
	}
	h.left -= n
	_, h.err = io.ReadFull(h.r, buffer)
	return buffer
}

func (h *header) uint32() uint32 { return binary.LittleEndian.Uint32(h.bytes(4)) }
func (h *header) uint64() uint64 { return binary.LittleEndian.Uint64(h.bytes(8)) }

// skip passes over n bytes.
func (h *header) skip(n uint64) {
	if h.err == nil && n > h.left {
		h.err = fmt.Errorf("the header names a length of %d bytes and the file has %d more", n, h.left)
	}
	for h.err == nil && n > 0 {
		part := min(n, math.MaxInt32)
		_, h.err = h.r.Discard(int(part))
		h.left -= part
		n -= part
	}
}

// Types of the header's values.
const (
	valueString = 8
	valueArray  = 9
)

// valueBytes are the sizes of the types that have one.
var valueBytes = map[uint32]uint64{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

func (h *header) value(kind uint32) {
	switch kind {
	case valueString:
		h.skip(h.uint64())
	case valueArray:
		element, n := h.uint32(), h.uint64()
		if element == valueString {
			for i := uint64(0); i < n && h.err == nil; i++ {
				h.skip(h.uint64())
			}
			return
		}
		total := h.times(n, valueBytes[element])
		if h.err == nil && valueBytes[element] == 0 {
			h.err = fmt.Errorf("the header has an array of the unknown type %d", element)
		}
		h.skip(total)
	default:
		if h.err == nil && valueBytes[kind] == 0 {
			h.err = fmt.Errorf("the header has a value of the unknown type %d", kind)
		}
		h.skip(valueBytes[kind])
	}
}

// tensor reads a tensor's entry. Its values lie elsewhere; the engine's reader
// checks where, once the numbers cannot overflow.
func (h *header) tensor(size uint64) {
	h.skip(h.uint64()) // the name
	dims := h.uint32()
	if h.err == nil && (dims < 1 || dims > 4) {
		h.err = fmt.Errorf("a tensor has %d dimensions; possible are 1 to 4", dims)
		return
	}
	elements := uint64(1)
	for range dims {
		elements = h.times(elements, h.uint64())
	}
	h.uint32() // the type
	offset := h.uint64()
	// No type takes less than a bit.
	if h.err == nil && (elements == 0 || elements/8 > size || offset > size) {
		h.err = fmt.Errorf("a tensor has %d elements at offset %d in a file of %d bytes", elements, offset, size)
	}
}

func (h *header) times(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if h.err == nil && high > 0 {
		h.err = errors.New("the header's lengths overflow")
	}
	return low
}
