package result

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// Only one group of rows is held, however many requests are written: a million
// of these take more than 100 MiB where all are.
func TestWritingIsFlat(t *testing.T) {
	a := &Attempt{path: t.TempDir()}
	list := make([]sdk.Completion, 10_000)
	for i := range list {
		list[i] = sdk.Completion{Request: uint32(i), SentNs: int64(i) * 1e6, PromptTokens: 128, OutputTokens: 64, FinishReason: "length"}
		for range 10 { // nothing that compresses
			list[i].Chunks = append(list[i].Chunks, sdk.Chunk{MonoNs: rand.Int64(), Tokens: 1})
		}
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for range 100 {
		if err := a.WriteRequests(list, "measured"); err != nil {
			t.Fatal(err)
		}
	}
	if used := heap() - before; used > 60<<20 {
		t.Errorf("a million requests hold %d MiB", used>>20)
	}
	if err := a.requests.close(); err != nil {
		t.Fatal(err)
	}
}
