package measure

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

func TestAPassThatMemoryCannotHoldIsRefused(t *testing.T) {
	for _, test := range []struct {
		mode                         string
		requests, concurrency, input int
		key, advice                  string
	}{
		{mode: "batch", requests: mostPreparedTokens / 128, input: 112},
		{mode: "batch", requests: mostPreparedTokens/128 + 1, input: 112, key: "workload.requests", advice: "lower it to 1048576, or lower workload.input_tokens"},
		{mode: "closed", requests: 1_000_000, concurrency: 8, input: 1_000_000},
		{mode: "closed", requests: 1, concurrency: 1000, input: 1_000_000, key: "load.concurrency", advice: "lower it to 134, or"},
		{mode: "batch", requests: 1, input: 1_000_000},
	} {
		c := study.Cell{
			Load:     study.LoadSpec{Mode: test.mode, Concurrency: test.concurrency},
			Workload: study.Workload{Requests: test.requests, InputTokens: test.input},
		}
		found := CheckPass(c)
		if test.key == "" {
			if len(found) > 0 {
				t.Errorf("%+v: %v", test, found)
			}
			continue
		}
		if len(found) != 1 || found[0].KeyPath != test.key || !strings.Contains(found[0].Advice, test.advice) {
			t.Errorf("%+v: %+v", test, found)
		}
	}
}
