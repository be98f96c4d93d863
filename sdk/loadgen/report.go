package loadgen

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/llenergymeasure/llem/sdk"
)

// Report is what a Run says about the client and about the counts.
type Report struct {
	Requests, Failed, Aborted int64
	Tokens                    int64 // as the completions count them

	// Output tokens counted three ways, over the requests where each was there.
	UsageTokens, IDTokens, Chunks int64
	WithUsage, WithIDs            int64
	// CountsDiffer requests have counts that contradict each other.
	CountsDiffer int64
	// SpreadRequests have chunks whose tokens were known in sum only.
	SpreadRequests int64
	// PromptsDiffer requests had another number of prompt tokens by the server.
	PromptsDiffer int64
	// OtherLengths requests succeeded with another number of tokens than asked.
	OtherLengths int64
	// BrokenEvents were not valid JSON; UncleanEnds came after a complete answer.
	BrokenEvents, UncleanEnds int64
	// Failures counts by code, such as stream_cut or http_429; First has the
	// first error of each.
	Failures map[string]int64
	First    map[string]string

	// Dispatch lateness of open loops: actual minus intended sending.
	LatenessP50Ns, LatenessP99Ns, LatenessMostNs int64
	// DelayNs is from the kernel's receive stamp to the generator's own.
	DelayP50Ns, DelayP99Ns, DelayMostNs int64
	// CPUShare is the process's CPU time and ThreadCPUShare that of the one
	// thread that sends and receives, in cores.
	CPUShare, ThreadCPUShare float64
	Reads                    int64
	// MergedEvents came in one read with an earlier event of their request and
	// share its stamp.
	MergedEvents int64
	// FallbackStamps reads have the generator's own stamp for lack of a
	// kernel's; UserStamps says that none was asked for.
	FallbackStamps int64
	UserStamps     bool
	// ClockSteps: how often the wall clock was set.
	ClockSteps int
	// BusyDecodes were done while sockets may have waited, for lack of memory.
	BusyDecodes, OverMemory, MostMemoryBytes int64
	DurationNs                               int64
}

// Bounds of the client's health; beyond them the client is part of the result.
const (
	boundLatenessNs = 1e6
	boundDelayNs    = 5e6
	boundThreadCPU  = 0.8
	boundMerged     = 0.05
	boundFallback   = 0.01
	judgedNs        = 100e6 // a share of less time says nothing
)

// usage is CPU time so far.
type usage struct{ atNs, processNs, threadNs int64 }

func readUsage(nowNs int64) usage {
	total := func(who int) int64 {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			return 0
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	return usage{atNs: nowNs, processNs: total(unix.RUSAGE_SELF), threadNs: total(unix.RUSAGE_THREAD)}
}

func (r *reactor) report(from, to usage) Report {
	t := &r.tally
	wall := float64(max(1, to.atNs-from.atNs))
	return Report{
		Requests: t.done, Failed: t.failed, Aborted: t.aborted, Tokens: t.tokens,
		UsageTokens: t.usage, IDTokens: t.ids, Chunks: t.chunks, WithUsage: t.withUsage, WithIDs: t.withIDs,
		CountsDiffer: t.countsDiffer, SpreadRequests: t.spread, PromptsDiffer: t.promptsDiffer, OtherLengths: t.otherSizes,
		BrokenEvents: t.broken, UncleanEnds: t.unclean, Failures: t.failures, First: t.firstFailure,
		LatenessP50Ns: r.lateness.quantile(0.5), LatenessP99Ns: r.lateness.quantile(0.99), LatenessMostNs: r.lateness.most,
		DelayP50Ns: r.delay.quantile(0.5), DelayP99Ns: r.delay.quantile(0.99), DelayMostNs: r.delay.most,
		CPUShare: float64(to.processNs-from.processNs) / wall, ThreadCPUShare: float64(to.threadNs-from.threadNs) / wall,
		Reads: r.reads, MergedEvents: t.merged, FallbackStamps: r.fallback, UserStamps: r.g.options.UserStamps,
		ClockSteps: r.clock.steps, BusyDecodes: r.busyDecode, OverMemory: r.overMemory, MostMemoryBytes: r.mostMemory,
		DurationNs: to.atNs - from.atNs,
	}
}

// Warnings are what belongs in the result, each with its code.
func (r Report) Warnings() []sdk.Warning {
	var list []sdk.Warning
	warn := func(code, format string, args ...any) {
		list = append(list, sdk.Warning{Code: code, Message: fmt.Sprintf(format, args...)})
	}
	if limits := r.limits(); len(limits) > 0 {
		warn("client_limited", "the client is part of the result: %s", strings.Join(limits, "; "))
	}
	if r.CountsDiffer > 0 {
		warn("token_count_disagrees", "%d requests: the server's usage counts %d output tokens in %d requests, token ids %d in %d, and %d events brought output; %d requests have their tokens spread over their events",
			r.CountsDiffer, r.UsageTokens, r.WithUsage, r.IDTokens, r.WithIDs, r.Chunks, r.SpreadRequests)
	}
	if r.PromptsDiffer > 0 {
		warn("prompt_count_disagrees", "%d requests: the server counted another number of prompt tokens than were sent", r.PromptsDiffer)
	}
	if r.OtherLengths > 0 {
		warn("output_length_differs", "%d requests ended well with another number of tokens than asked for", r.OtherLengths)
	}
	if r.BrokenEvents > 0 {
		warn("broken_events", "%d events were not valid JSON and were passed over", r.BrokenEvents)
	}
	if r.UncleanEnds > 0 {
		warn("unclean_ends", "%d answers were complete and their connection ended early", r.UncleanEnds)
	}
	if r.OverMemory > 0 || r.BusyDecodes > 0 {
		warn("memory_limit", "answers held up to %d bytes: %d times they were decoded while sockets may have waited, and %d requests were given up", r.MostMemoryBytes, r.BusyDecodes, r.OverMemory)
	}
	if r.ClockSteps > 0 {
		warn("client_clock_step", "the wall clock was set in the Run (%d times); stamps around it are the generator's own", r.ClockSteps)
	}
	for _, code := range slices.Sorted(maps.Keys(r.Failures)) {
		warn("request_errors", "%d requests failed as %s; the first: %s", r.Failures[code], code, r.First[code])
	}
	return list
}

// limits are the bounds that were crossed.
func (r Report) limits() []string {
	var list []string
	add := func(crossed bool, format string, args ...any) {
		if crossed {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	share := func(n, of int64) float64 { return float64(n) / float64(max(1, of)) }
	add(r.LatenessP99Ns > boundLatenessNs, "1 %% of the requests left more than %.1f ms late", float64(r.LatenessP99Ns)/1e6)
	add(r.DelayP99Ns > boundDelayNs, "1 %% of the reads came more than %.1f ms behind the kernel", float64(r.DelayP99Ns)/1e6)
	add(r.ThreadCPUShare > boundThreadCPU && r.DurationNs >= judgedNs, "its thread used %.0f %% of a core", 100*r.ThreadCPUShare)
	add(share(r.MergedEvents, r.Chunks) > boundMerged, "%.1f %% of the events share the stamp of another", 100*share(r.MergedEvents, r.Chunks))
	add(!r.UserStamps && share(r.FallbackStamps, r.Reads) > boundFallback, "%.1f %% of the reads have no kernel stamp", 100*share(r.FallbackStamps, r.Reads))
	return list
}

// Health is the part of the report that a Run stores of its client.
func (r Report) Health(loop sdk.Loop) sdk.ClientHealth {
	h := sdk.ClientHealth{
		CPUShare: &r.CPUShare, ThreadCPUShare: &r.ThreadCPUShare, Reads: &r.Reads, MergedEvents: &r.MergedEvents,
		StampSource: sdk.StampUser,
	}
	if loop == sdk.LoopOpen {
		h.LatenessP50Ns, h.LatenessP99Ns, h.LatenessMostNs = &r.LatenessP50Ns, &r.LatenessP99Ns, &r.LatenessMostNs
	}
	if !r.UserStamps {
		h.StampSource, h.FallbackStamps = sdk.StampKernel, &r.FallbackStamps
		h.DelayP50Ns, h.DelayP99Ns, h.DelayMostNs = &r.DelayP50Ns, &r.DelayP99Ns, &r.DelayMostNs
	}
	return h
}
