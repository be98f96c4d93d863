package measure

import (
	"fmt"
	"math"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// passUnit is how many requests are prepared at a time: those of a batch pass,
// those in flight in a closed loop, or those of a second in an open one. Less is
// never prepared. key is what the study calls that number.
func passUnit(c study.Cell) (requests int, key string) {
	switch {
	case c.Load.Mode == string(sdk.LoopBatch):
		return c.Workload.Requests, "workload.requests"
	case isOpen(c):
		return max(1, int(math.Ceil(c.Load.Rate))), "load.rate"
	}
	return max(1, c.Load.Concurrency), "load.concurrency"
}

// CheckPass refuses a cell of which one pass alone is more than is made at
// once: the prompts of a Run are held whole in memory. Key paths are those of
// the study.
func CheckPass(c study.Cell) []sdk.Diagnostic {
	requests, key := passUnit(c)
	unit := int64(requests)
	each := preparedTokens(c.Workload)
	if unit <= mostPreparedTokens/each {
		return nil
	}
	return []sdk.Diagnostic{{
		Severity: sdk.SeverityError, KeyPath: key,
		Message: fmt.Sprintf("one pass of %d requests with %d input tokens is %d tokens with %d for each request's own fields; at most %d are prepared at once (%d MiB)",
			unit, c.Workload.InputTokens, unit*each, requestTokens, mostPreparedTokens, mostPreparedTokens*4>>20),
		Advice: fmt.Sprintf("lower it to %d, or lower workload.input_tokens", mostPreparedTokens/each),
	}}
}
