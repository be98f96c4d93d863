package sdk

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Work is a set of prepared requests.
type Work struct {
	ID       string
	Sampling Sampling
	// ExactLengths: generate exactly MaxTokens and ignore end-of-sequence.
	ExactLengths bool
	Items        []WorkItem
}

// WorkItem is one request. Its index in Work.Items names it.
type WorkItem struct {
	TokenIDs  []uint32
	MaxTokens uint32
	// ArrivalOffsetNs is when to send it after the Run's start (open loop).
	ArrivalOffsetNs int64
}

// TokenHash is the identity of a sequence of requests: SHA-256 over, for each
// item, the number of ids and MaxTokens as 32-bit little-endian integers and
// then the ids likewise.
func TokenHash(items []WorkItem) [sha256.Size]byte {
	h := NewTokenHasher()
	for _, item := range items {
		h.Add(item)
	}
	return h.Sum()
}

// TokenHasher computes a TokenHash item by item.
type TokenHasher struct {
	digest hash.Hash
	buffer []byte
}

// NewTokenHasher starts a hash over no items.
func NewTokenHasher() *TokenHasher { return &TokenHasher{digest: sha256.New()} }

// Add appends one item.
func (h *TokenHasher) Add(item WorkItem) {
	h.buffer = binary.LittleEndian.AppendUint32(h.buffer[:0], uint32(len(item.TokenIDs)))
	h.buffer = binary.LittleEndian.AppendUint32(h.buffer, item.MaxTokens)
	for _, id := range item.TokenIDs {
		h.buffer = binary.LittleEndian.AppendUint32(h.buffer, id)
	}
	h.digest.Write(h.buffer)
}

// Sum returns the hash of what was added so far.
func (h *TokenHasher) Sum() [sha256.Size]byte {
	return [sha256.Size]byte(h.digest.Sum(nil))
}

// OutputHash is the identity of generated ids: the first 8 bytes, as a
// little-endian integer, of SHA-256 over the ids as 32-bit little-endian
// integers.
func OutputHash(ids []uint32) uint64 {
	buffer := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		buffer = binary.LittleEndian.AppendUint32(buffer, id)
	}
	sum := sha256.Sum256(buffer)
	return binary.LittleEndian.Uint64(sum[:8])
}
