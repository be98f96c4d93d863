package plugintest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// gappedPasses of a Run with gaps of gapMost at most: their mean is half of it,
// and a quarter is more than three standard deviations below.
const (
	gappedPasses = 13
	gapMost      = 20 * time.Millisecond
)

// passGaps asks for idle time between passes and looks for it between their
// stamps. It must differ from gap to gap: a constant one keeps a load in step.
func passGaps(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	switch {
	case !slices.Contains(e.Description().Features, sdk.FeaturePassGaps):
		return skip("the plugin does not describe the feature %q", sdk.FeaturePassGaps)
	case !e.can(sdk.LoopBatch):
		return skip("the backend does not declare the batch loop")
	}
	spec := e.spec(sdk.LoopBatch)
	spec.MaxPasses, spec.GapNsMost, spec.GapSeed = gappedPasses, int64(gapMost), 1
	var passes []sdk.PassRecord
	if _, err = e.drive(ctx, spec, gappedPasses*int(e.perPass()), func(event sdk.RunEvent) error {
		if pass, ok := event.(sdk.PassRecord); ok {
			passes = append(passes, pass)
		}
		return nil
	}); err != nil {
		return err
	}
	if len(passes) < gappedPasses {
		return fmt.Errorf("%d of %d passes with gaps came", len(passes), gappedPasses)
	}
	var gaps []int64
	var sum int64
	for i := 1; i < len(passes); i++ {
		gaps = append(gaps, passes[i].BeginNs-passes[i-1].EndNs)
		sum += gaps[i-1]
	}
	if mean := sum / int64(len(gaps)); mean < int64(gapMost)/4 {
		return fmt.Errorf("gaps of up to %v between passes were asked for, and %v on average lie between their stamps", gapMost, time.Duration(mean))
	}
	if spread := slices.Max(gaps) - slices.Min(gaps); spread < int64(gapMost)/8 {
		return fmt.Errorf("the gaps between passes differ by %v only; they are to be uniform from 0 to %v", time.Duration(spread), gapMost)
	}
	return nil
}
