package docs_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// The energy source on the page, from here to its end.

type meter struct{}

func (*meter) Describe() sdk.Description {
	return sdk.Description{Name: "meter", Version: "0.1.0", Doc: "A machine that draws 100 W."}
}

func (*meter) Open(context.Context, sdk.OpenRequest) ([]sdk.Domain, error) {
	return []sdk.Domain{{
		ID: "package-0", Kind: sdk.DomainCPUPackage, DeviceIDs: []string{"package-0"},
		Reading: sdk.ReadingCounter, Unit: sdk.UnitJoule, UnitNumerator: 1, UnitDenominator: 1000,
		UpdatePeriodNs: 100e6, Doc: "Made up.",
	}}, nil
}

func (*meter) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for sequence := uint64(0); ; sequence++ {
		now := sdk.MonoNow()
		if err := emit(sdk.SampleBatch{
			DomainID: "package-0", Sequence: sequence, CompleteUntilNs: now,
			MonoNs: []int64{now}, Values: []int64{now / 1e4}, // 100 W in mJ
		}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (*meter) Close(context.Context) error { return nil }

// The test binary is also the plugin.
func TestMain(m *testing.M) {
	if os.Getenv("LLEM_PLUGIN") != "" {
		serve.EnergySource(&meter{})
		return
	}
	os.Exit(m.Run())
}

// The source on the page is the one above, which keeps the contract.
func TestTheSourceIsCorrect(t *testing.T) {
	const name = "docs/writing-a-plugin.md"
	own := read(t, "tests/docs/source_test.go")
	found := false
	for _, b := range blocks(read(t, name)) {
		if b.language != "go" || !strings.HasPrefix(b.text, "type meter") {
			continue
		}
		found = true
		if !strings.Contains(own, b.text) {
			t.Errorf("%s:%d: the source differs from the one in tests/docs", name, b.line)
		}
	}
	if !found {
		t.Errorf("%s has no energy source", name)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, r := range plugintest.Check(t.Context(), []string{binary}) {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Rule, r.Err)
		}
		if r.Skipped == "" {
			tried++
		}
	}
	if tried < 8 {
		t.Errorf("only %d rules were tried", tried)
	}
}
