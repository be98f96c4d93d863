package result

import (
	"runtime"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// The heap does not grow with the number of requests written.
func TestWritingIsFlat(t *testing.T) {
	a := &Attempt{path: t.TempDir()}
	list := make([]sdk.Completion, 10_000)
	for i := range list {
		list[i] = sdk.Completion{Request: uint32(i), SentNs: int64(i) * 1e6, FirstNs: int64(i)*1e6 + 5, LastNs: int64(i)*1e6 + 9, PromptTokens: 128, OutputTokens: 64, FinishReason: "length",
			Chunks: []sdk.Chunk{{MonoNs: int64(i), Tokens: 1}, {MonoNs: int64(i) * 7, Tokens: 63}}}
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var early int64
	for i := range 60 {
		if err := a.WriteRequests(list, "measured"); err != nil {
			t.Fatal(err)
		}
		if i == 19 { // past the first row group
			early = heap()
		}
	}
	if grown := heap() - early; grown > 8<<20 {
		t.Errorf("400,000 more requests took %d MiB more", grown>>20)
	}
	t.Logf("heap after 200,000 requests %d MiB", early>>20)
	if err := a.requests.close(); err != nil {
		t.Fatal(err)
	}
}
