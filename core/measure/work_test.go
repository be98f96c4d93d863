package measure

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

var exampleWorkload = study.Workload{Requests: 4, InputTokens: 16, OutputTokens: 8, Seed: 42, Lengths: "exact"}

func TestRequestsDependOnTheirIndexOnly(t *testing.T) {
	all := requests(exampleWorkload, 512, 0, 8)
	tail := requests(exampleWorkload, 512, 4, 4)
	if diff := cmp.Diff(all[4:], tail); diff != "" {
		t.Errorf("request 4 differs by where generation began:\n%s", diff)
	}
	seen := map[string]bool{}
	for i, item := range all {
		sum := sdk.TokenHash([]sdk.WorkItem{item})
		if seen[string(sum[:])] {
			t.Errorf("request %d repeats an earlier one", i)
		}
		seen[string(sum[:])] = true
		if len(item.TokenIDs) != 16 || item.MaxTokens != 8 {
			t.Errorf("request %d has %d ids and %d tokens to make", i, len(item.TokenIDs), item.MaxTokens)
		}
		for _, id := range item.TokenIDs {
			if id < firstOrdinaryID || id >= 512 {
				t.Fatalf("request %d holds id %d outside [%d, 512)", i, id, firstOrdinaryID)
			}
		}
	}
}

func TestRequestsShareTheAskedPrefixAndNoMore(t *testing.T) {
	w := exampleWorkload
	w.SharedPrefixTokens = 5
	items := requests(w, 512, 0, 3)
	for i := 1; i < 3; i++ {
		if diff := cmp.Diff(items[0].TokenIDs[:5], items[i].TokenIDs[:5]); diff != "" {
			t.Errorf("request %d has another prefix:\n%s", i, diff)
		}
		if cmp.Equal(items[0].TokenIDs[5:], items[i].TokenIDs[5:]) {
			t.Errorf("request %d repeats request 0", i)
		}
	}
}

func TestPassHashesNameEachWholePass(t *testing.T) {
	items := requests(exampleWorkload, 512, 0, 10)
	hashes := passHashes(items, 4)
	if len(hashes) != 2 || hashes[0] == hashes[1] {
		t.Errorf("got %d hashes of 10 requests in passes of 4: %v", len(hashes), hashes)
	}
	if got := passHashes(items[:3], 4); len(got) != 0 {
		t.Errorf("three requests are no pass of 4: %v", got)
	}
}

func TestPassesSent(t *testing.T) {
	for _, c := range []struct {
		name    string
		ends    []uint32 // requests in the order of their ends
		size, n int
	}{
		{"nothing", nil, 4, 0},
		{"a part of a pass", []uint32{2, 0, 1}, 4, 0},
		{"in any order", []uint32{5, 3, 4, 0, 1, 2, 7, 6}, 4, 2},
		{"up to the first hole", []uint32{0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11}, 4, 1},
		{"one at a time", []uint32{1, 0, 2}, 1, 3},
	} {
		var done []sdk.Completion
		for i, request := range c.ends {
			done = append(done, sdk.Completion{Request: request, Error: []string{"", "no slot"}[i%2]})
		}
		if got := passesSent(done, c.size); got != c.n {
			t.Errorf("%s: %d passes, want %d", c.name, got, c.n)
		}
	}
}
