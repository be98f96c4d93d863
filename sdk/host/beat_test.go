package host

import (
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// Runs follow each other as fast as they come: a heartbeat that falls between
// a Run's end and its report is no lie, and with the report the next Run may
// begin.
func TestRunsInARow(t *testing.T) {
	t.Parallel()
	p, spec := ready(t, "fast", 2)
	spec.HeartbeatMs = 1
	for range 3000 {
		if _, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}
