package energy

// mostPowerW is more than anything of the domain's kind can draw: samples above it
// are damaged, and would make joules of nothing.
func (d Domain) mostPowerW() float64 {
	switch d.Kind {
	case KindGPU, KindGPUMemory, KindModule, KindCPUPackage, KindDRAM:
		return 100e3
	case KindNode:
		return 1e6
	}
	return 100e6
}

// alwaysDraws tells of kinds whose power is never 0 W while somebody can ask.
func (d Domain) alwaysDraws() bool {
	switch d.Kind {
	case KindGPU, KindModule, KindCPUPackage, KindNode:
		return !d.Estimated
	}
	return false
}

// implausible is the code of a power sample that no sensor of a running device
// gives, or "". Such a sample counts as lost: taken as power, a zero in every tenth
// sample is 10 % of the joules.
func (d Domain) implausible(value int64) string {
	switch {
	case d.Reading == ReadingCounter:
		return "" // judged by what it rises
	case float64(value)*d.unit() > d.mostPowerW():
		return CodeImplausible
	case value == 0 && !d.ChangesOnly && d.alwaysDraws():
		return CodeZeroSample
	}
	return ""
}

// mostRiseJ is more than a counter of the domain can rise between two reads: a
// second is added for what a tick holds back.
func (d Domain) mostRiseJ(ns int64) float64 {
	return d.mostPowerW() * (seconds(ns) + 1 + 2*seconds(d.UpdateNs))
}
