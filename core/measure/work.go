package measure

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// firstOrdinaryID is the least token id used in synthetic prompts: ids below
// are special tokens in the common vocabularies.
const firstOrdinaryID = 3

// assumedVocab bounds the ids if a backend does not tell its vocabulary's
// size. Every model in use has more.
const assumedVocab = 1000

// warmUpStream separates the prompts of warm-up Runs from measured ones, so
// that nothing measured was seen before.
const warmUpStream = 1 << 40

// requests generates synthetic requests first..first+count-1 of a workload.
// Request i is the same for every cell and every block, and different from
// every other request: it depends on the workload's seed, i and the vocabulary
// only.
func requests(w study.Workload, vocab uint32, first uint64, count int) []sdk.WorkItem {
	items := make([]sdk.WorkItem, count)
	prefix := randomIDs(w.Seed, ^uint64(0), vocab, w.SharedPrefixTokens)
	for i := range items {
		own := randomIDs(w.Seed, first+uint64(i), vocab, w.InputTokens-len(prefix))
		ids := make([]uint32, 0, w.InputTokens)
		ids = append(append(ids, prefix...), own...)
		items[i] = sdk.WorkItem{TokenIDs: ids, MaxTokens: uint32(w.OutputTokens)}
	}
	return items
}

func randomIDs(seed int64, stream uint64, vocab uint32, count int) []uint32 {
	if vocab <= firstOrdinaryID {
		vocab = assumedVocab
	}
	random := rand.New(rand.NewPCG(uint64(seed), stream))
	ids := make([]uint32, max(0, count))
	for i := range ids {
		ids[i] = firstOrdinaryID + random.Uint32N(vocab-firstOrdinaryID)
	}
	return ids
}

// workHash is the identity of a workload's definition: what was asked for, and
// the vocabulary that the ids were drawn from.
func workHash(w study.Workload, vocab uint32) string {
	text, err := json.Marshal(w)
	if err != nil {
		// A Workload holds numbers and strings only, and study refuses NaN.
		panic("measure: workload does not marshal: " + err.Error())
	}
	h := sha256.New()
	h.Write(text)
	h.Write(binary.LittleEndian.AppendUint32(nil, vocab))
	return hex.EncodeToString(h.Sum(nil))
}

// passHashes returns the token hash of each whole pass of size requests. In a
// closed loop, too, a pass is the workload's: arms with other requests in
// flight, or static batches, have the same passes.
func passHashes(items []sdk.WorkItem, size int) []string {
	var hashes []string
	for ; len(items) >= size; items = items[size:] {
		sum := sdk.TokenHash(items[:size])
		hashes = append(hashes, hex.EncodeToString(sum[:]))
	}
	return hashes
}

// passesSent counts the passes of size requests, from the first on, of which
// every request was sent. A closed loop sends its requests in order and
// completes them in any. One that failed was sent all the same.
func passesSent(completions []sdk.Completion, size int) int {
	sent := map[int]int{}
	for _, c := range completions {
		sent[int(c.Request)/size]++
	}
	passes := 0
	for sent[passes] == size {
		passes++
	}
	return passes
}
