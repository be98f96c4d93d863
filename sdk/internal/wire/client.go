package wire

import (
	"math"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

func toClient(c *sdk.ClientHealth) *pb.ClientHealth {
	if c == nil {
		return nil
	}
	return &pb.ClientHealth{
		LatenessP50Ns: c.LatenessP50Ns, LatenessP99Ns: c.LatenessP99Ns, LatenessMostNs: c.LatenessMostNs,
		DelayP50Ns: c.DelayP50Ns, DelayP99Ns: c.DelayP99Ns, DelayMostNs: c.DelayMostNs,
		CpuShare: c.CPUShare, ThreadCpuShare: c.ThreadCPUShare, Reads: c.Reads, MergedEvents: c.MergedEvents,
		StampSource: text(c.StampSource), FallbackStamps: c.FallbackStamps,
	}
}

func fromClient(c *pb.ClientHealth) *sdk.ClientHealth {
	if c == nil {
		return nil
	}
	return &sdk.ClientHealth{
		LatenessP50Ns: c.LatenessP50Ns, LatenessP99Ns: c.LatenessP99Ns, LatenessMostNs: c.LatenessMostNs,
		DelayP50Ns: c.DelayP50Ns, DelayP99Ns: c.DelayP99Ns, DelayMostNs: c.DelayMostNs,
		CPUShare: finite(c.CpuShare), ThreadCPUShare: finite(c.ThreadCpuShare), Reads: c.Reads, MergedEvents: c.MergedEvents,
		StampSource: c.GetStampSource(), FallbackStamps: c.FallbackStamps,
	}
}

// finite takes what is no number for not known: no record could hold it.
func finite(x *float64) *float64 {
	if x == nil || math.IsNaN(*x) || math.IsInf(*x, 0) {
		return nil
	}
	return x
}
