package plugintest_test

import (
	"context"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// sensor is an energy source of a node and a package within it. Its mode names
// the one rule that it breaks.
type sensor struct{ mode string }

func (s *sensor) Describe() sdk.Description {
	return sdk.Description{
		Name: "good", Version: "1.0.0", Doc: "A small source.",
		Parameters: []sdk.Parameter{sdk.Int("interval_ms").Or(2).AtLeast(1).For(sdk.RoleMachine).Doc("Time between samples.")},
	}
}

func (s *sensor) Open(context.Context, sdk.OpenRequest) ([]sdk.Domain, error) {
	domain := sdk.Domain{
		ID: "node", Kind: sdk.DomainNode, Reading: sdk.ReadingCounter, Unit: sdk.UnitJoule,
		UnitNumerator: 1, UnitDenominator: 1000, UpdatePeriodNs: int64(2 * time.Millisecond),
	}
	inner := domain
	inner.ID, inner.Kind, inner.ContainedIn = "package-0", sdk.DomainCPUPackage, "node"
	inner.Reading, inner.Unit = sdk.ReadingInstant, sdk.UnitWatt
	switch s.mode {
	case "forbidden":
		return nil, &sdk.Error{Code: sdk.Permission, Message: "the counter may not be read", Advice: "chmod it"}
	case "no domain":
		return nil, nil
	case "domains":
		domain.Unit = sdk.UnitWatt
		domain.ContainedIn = inner.ID
		domain.UpdatePeriodNs = 0
	}
	return []sdk.Domain{domain, inner}, nil
}

func (s *sensor) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	if s.mode == "deaf" {
		ctx = context.WithoutCancel(ctx)
	}
	for i := int64(0); ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, domain := range []string{"node", "package-0"} {
			now := sdk.MonoNow()
			b := sdk.SampleBatch{DomainID: domain, Sequence: uint64(i), CompleteUntilNs: now, MonoNs: []int64{now}, Values: []int64{i}}
			switch s.mode {
			case "gap":
				b.Sequence *= 2
			case "watermark":
				b.CompleteUntilNs--
			case "standing stamp":
				b.MonoNs[0] = 1
			case "falling counter":
				b.Values[0] = -i
			case "silent domain":
				if domain == "node" {
					continue
				}
			}
			if err := emit(b); err != nil && s.mode != "deaf" {
				return err
			}
		}
	}
}

func (s *sensor) Close(context.Context) error { return nil }
