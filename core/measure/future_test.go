package measure

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

func TestAStampInTheFutureEndsItsSource(t *testing.T) {
	const now = int64(100e9)
	good := sdk.SampleBatch{DomainID: "d", MonoNs: []int64{now - 1, now + mostAhead}, CompleteUntilNs: now}
	if err := fromTheFuture(good, now); err != nil {
		t.Error(err)
	}
	for _, bad := range []sdk.SampleBatch{
		{DomainID: "d", MonoNs: []int64{now + 36000e9, now}}, {DomainID: "d", CompleteUntilNs: now + 2e9},
	} {
		if err := fromTheFuture(bad, now); err == nil || !strings.Contains(err.Error(), `domain "d"`) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestWarmUpWorkIsBounded(t *testing.T) {
	w := study.Workload{InputTokens: 1000}
	if n := mostPasses(w, 1_000_000); n != 1 {
		t.Errorf("%d passes of a million requests", n)
	}
	if n := mostPasses(w, 64); n < warmUpPasses {
		t.Errorf("%d passes of 64 requests", n)
	}
}
