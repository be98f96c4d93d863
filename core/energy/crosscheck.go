package energy

import (
	"fmt"
	"math"
)

// CrossCheck compares the window of the primary reading with the same span by a
// second one of the same sensor (sample ring against energy counter). ratio is
// primary/check, never applied as a correction. Beyond 5 % is a warning, beyond
// 15 % fatal, for windows of 10 s and more; shorter ones are judged only beyond
// three times their own edge errors. What a sensor that looks at part of the time
// may miss (AliasRel) is no disagreement in windows of any length.
//
// Both readings sit behind one sensor: agreement proves the sampling, not the gain.
func CrossCheck(primary, check Window) (ratio float64, warnings []Warning, err error) {
	if primary.FromNs != check.FromNs || primary.ToNs != check.ToNs {
		return 0, nil, fmt.Errorf("cross-checking energy: %q covers %d to %d ns, %q covers %d to %d ns", primary.Domain, primary.FromNs, primary.ToNs, check.Domain, check.FromNs, check.ToNs)
	}
	if !(primary.EnergyJ > 0) || !(check.EnergyJ > 0) {
		return 0, nil, fmt.Errorf("cross-checking energy: %q has %g J, %q has %g J; both must be above zero", primary.Domain, primary.EnergyJ, check.Domain, check.EnergyJ)
	}
	ratio = primary.EnergyJ / check.EnergyJ
	off := math.Abs(ratio - 1)
	alias, random := primary.AliasRel+check.AliasRel, 3*math.Hypot(primary.RandomRel, check.RandomRel)
	if off <= alias || primary.DurationS() < 10 && off <= alias+random {
		return ratio, nil, nil
	}
	severity := SeverityWarning
	switch {
	case off <= 0.05:
		return ratio, nil, nil
	case off > 0.15:
		severity = SeverityFatal
	}
	return ratio, []Warning{{Code: CodeCounterVsPower, Severity: severity, Domain: primary.Domain,
		Message: fmt.Sprintf("%s gives %.1f J, %s gives %.1f J: ratio %.4f", primary.Method, primary.EnergyJ, check.Method, check.EnergyJ, ratio)}}, nil
}
