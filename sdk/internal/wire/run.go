package wire

import (
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// ToWorkHeader translates what holds for all requests of a work.
func ToWorkHeader(w *sdk.Work) *pb.WorkHeader {
	return &pb.WorkHeader{ExactLengths: w.ExactLengths, Sampling: toSampling(w.Sampling)}
}

// FromWorkHeader starts a work from its header.
func FromWorkHeader(h *pb.WorkHeader) *sdk.Work {
	return &sdk.Work{ExactLengths: h.GetExactLengths(), Sampling: fromSampling(h.GetSampling())}
}

// ToWorkItem translates one request.
func ToWorkItem(i sdk.WorkItem) *pb.WorkItem {
	return &pb.WorkItem{TokenIds: i.TokenIDs, MaxTokens: i.MaxTokens, ArrivalOffsetNs: i.ArrivalOffsetNs}
}

// FromWorkItem translates one request.
func FromWorkItem(i *pb.WorkItem) sdk.WorkItem {
	return sdk.WorkItem{TokenIDs: i.GetTokenIds(), MaxTokens: i.GetMaxTokens(), ArrivalOffsetNs: i.GetArrivalOffsetNs()}
}

// ToRunSpec translates what a Run is to do.
func ToRunSpec(s sdk.RunSpec) *pb.RunRequest {
	return &pb.RunRequest{
		WorkId: s.WorkID, First: s.First, Loop: loops.to(s.Loop), Concurrency: s.Concurrency,
		RequestsPerPass: s.RequestsPerPass, Record: records.to(s.Record), RecordSteps: s.RecordSteps,
		HeartbeatMs: s.HeartbeatMs, MaxPasses: s.MaxPasses, MaxRequests: s.MaxRequests, MaxDurationNs: s.MaxDurationNs,
		GapNsMost: s.GapNsMost, GapSeed: s.GapSeed,
	}
}

// FromRunSpec translates what a Run is to do. Unknown loops and levels of
// recording are errors.
func FromRunSpec(r *pb.RunRequest) (sdk.RunSpec, error) {
	loop, err := loops.known("loop", r.GetLoop())
	if err != nil {
		return sdk.RunSpec{}, err
	}
	record, err := records.known("record", r.GetRecord())
	if err != nil {
		return sdk.RunSpec{}, err
	}
	return sdk.RunSpec{
		WorkID: r.GetWorkId(), First: r.GetFirst(), Loop: loop, Concurrency: r.GetConcurrency(),
		RequestsPerPass: r.GetRequestsPerPass(), Record: record, RecordSteps: r.GetRecordSteps(),
		HeartbeatMs: r.GetHeartbeatMs(), MaxPasses: r.GetMaxPasses(), MaxRequests: r.GetMaxRequests(),
		MaxDurationNs: r.GetMaxDurationNs(), GapNsMost: r.GetGapNsMost(), GapSeed: r.GetGapSeed(),
	}, nil
}

// ToStopKind translates a kind of stop.
func ToStopKind(k sdk.StopKind) pb.StopKind { return stopKinds.to(k) }

// FromStopKind translates a kind of stop; an unknown one is an error.
func FromStopKind(k pb.StopKind) (sdk.StopKind, error) { return stopKinds.known("kind", k) }

// ToRunEvent translates an event of a Run.
func ToRunEvent(e sdk.RunEvent) *pb.RunResponse {
	switch x := e.(type) {
	case sdk.Started:
		return &pb.RunResponse{Event: &pb.RunResponse_Started{Started: &pb.Started{MonoNs: x.MonoNs}}}
	case sdk.Heartbeat:
		return &pb.RunResponse{Event: &pb.RunResponse_Heartbeat{Heartbeat: &pb.Heartbeat{
			MonoNs: x.MonoNs, Sent: x.Sent, Done: x.Done, Failed: x.Failed, InFlight: x.InFlight, OutputTokens: x.OutputTokens,
		}}}
	case sdk.PassRecord:
		return &pb.RunResponse{Event: &pb.RunResponse_Pass{Pass: &pb.Pass{
			Index: x.Index, BeginNs: x.BeginNs, EndNs: x.EndNs, FirstRequest: x.FirstRequest, Requests: x.Requests,
			Failed: x.Failed, PromptTokens: x.PromptTokens, OutputTokens: x.OutputTokens,
			PaddingTokens: x.PaddingTokens, PrefillEndNs: x.PrefillEndNs,
		}}}
	case sdk.Completions:
		items := make([]*pb.Completion, len(x))
		for i, c := range x {
			items[i] = toCompletion(c)
		}
		return &pb.RunResponse{Event: &pb.RunResponse_Completions{Completions: &pb.Completions{Items: items}}}
	case sdk.Steps:
		steps := &pb.Steps{}
		for _, s := range x {
			steps.EndNs = append(steps.EndNs, s.EndNs)
			steps.PrefillTokens = append(steps.PrefillTokens, s.PrefillTokens)
			steps.DecodeTokens = append(steps.DecodeTokens, s.DecodeTokens)
		}
		return &pb.RunResponse{Event: &pb.RunResponse_Steps{Steps: steps}}
	case sdk.Finished:
		return &pb.RunResponse{Event: &pb.RunResponse_Finished{Finished: &pb.Finished{
			MonoNs: x.MonoNs, Reason: reasons.to(x.Reason), Before: ToCounters(x.Before), After: ToCounters(x.After),
			Applied: ToRunSpec(x.Applied), Completions: x.Completions, Passes: x.Passes, OutputTokens: x.OutputTokens,
			Warnings: ToWarnings(x.Warnings), Client: toClient(x.Client),
		}}}
	}
	// RunEvent is closed: only the types above satisfy it.
	panic(fmt.Sprintf("wire: run event of type %T", e))
}

// FromRunEvent translates an event of a Run. An event of a newer plugin gives
// nil: it describes something that this version has no use for.
func FromRunEvent(r *pb.RunResponse) (sdk.RunEvent, error) {
	switch x := r.GetEvent().(type) {
	case *pb.RunResponse_Started:
		return sdk.Started{MonoNs: x.Started.GetMonoNs()}, nil
	case *pb.RunResponse_Heartbeat:
		h := x.Heartbeat
		return sdk.Heartbeat{
			MonoNs: h.GetMonoNs(), Sent: h.GetSent(), Done: h.GetDone(), Failed: h.GetFailed(),
			InFlight: h.GetInFlight(), OutputTokens: h.GetOutputTokens(),
		}, nil
	case *pb.RunResponse_Pass:
		p := x.Pass
		return sdk.PassRecord{
			Index: p.GetIndex(), BeginNs: p.GetBeginNs(), EndNs: p.GetEndNs(), FirstRequest: p.GetFirstRequest(),
			Requests: p.GetRequests(), Failed: p.GetFailed(), PromptTokens: p.GetPromptTokens(),
			OutputTokens: p.GetOutputTokens(), PaddingTokens: p.GetPaddingTokens(), PrefillEndNs: p.GetPrefillEndNs(),
		}, nil
	case *pb.RunResponse_Completions:
		items := make(sdk.Completions, 0, len(x.Completions.GetItems()))
		for _, c := range x.Completions.GetItems() {
			completion, err := fromCompletion(c)
			if err != nil {
				return nil, err
			}
			items = append(items, completion)
		}
		return items, nil
	case *pb.RunResponse_Steps:
		s := x.Steps
		if len(s.GetPrefillTokens()) != len(s.GetEndNs()) || len(s.GetDecodeTokens()) != len(s.GetEndNs()) {
			return nil, &sdk.Error{Code: sdk.InvalidRequest, Phase: "run", Message: "the columns of a Steps message differ in length"}
		}
		steps := make(sdk.Steps, len(s.GetEndNs()))
		for i := range steps {
			steps[i] = sdk.Step{EndNs: s.EndNs[i], PrefillTokens: s.PrefillTokens[i], DecodeTokens: s.DecodeTokens[i]}
		}
		return steps, nil
	case *pb.RunResponse_Finished:
		f := x.Finished
		applied, err := FromRunSpec(f.GetApplied())
		if err != nil {
			return nil, err
		}
		return sdk.Finished{
			MonoNs: f.GetMonoNs(), Reason: reasons.from(f.GetReason()), Before: FromCounters(f.GetBefore()),
			After: FromCounters(f.GetAfter()), Applied: applied, Completions: f.GetCompletions(),
			Passes: f.GetPasses(), OutputTokens: f.GetOutputTokens(),
			Warnings: FromWarnings(f.GetWarnings()), Client: fromClient(f.GetClient()),
		}, nil
	}
	return nil, nil
}

func toCompletion(c sdk.Completion) *pb.Completion {
	out := &pb.Completion{
		Request: c.Request, IntendedNs: c.IntendedNs, SentNs: c.SentNs, FirstNs: c.FirstNs, LastNs: c.LastNs,
		PromptTokens: c.PromptTokens, OutputTokens: c.OutputTokens, CachedPromptTokens: c.CachedPromptTokens,
		OutputHash: c.OutputHash, FinishReason: text(c.FinishReason), Error: text(c.Error),
	}
	if len(c.Chunks) > 0 {
		out.ChunkDeltaNs = make([]int64, len(c.Chunks))
		out.ChunkTokens = make([]uint32, len(c.Chunks))
	}
	before := c.SentNs
	for i, chunk := range c.Chunks {
		out.ChunkDeltaNs[i], out.ChunkTokens[i] = chunk.MonoNs-before, chunk.Tokens
		before = chunk.MonoNs
	}
	return out
}

func fromCompletion(c *pb.Completion) (sdk.Completion, error) {
	out := sdk.Completion{
		Request: c.GetRequest(), IntendedNs: c.GetIntendedNs(), SentNs: c.GetSentNs(), FirstNs: c.GetFirstNs(),
		LastNs: c.GetLastNs(), PromptTokens: c.GetPromptTokens(), OutputTokens: c.GetOutputTokens(),
		CachedPromptTokens: c.CachedPromptTokens, OutputHash: c.OutputHash, FinishReason: c.GetFinishReason(), Error: c.GetError(),
	}
	if len(c.GetChunkDeltaNs()) != len(c.GetChunkTokens()) {
		return out, &sdk.Error{Code: sdk.InvalidRequest, Phase: "run", Message: fmt.Sprintf("request %d has %d chunk stamps and %d chunk counts", c.GetRequest(), len(c.GetChunkDeltaNs()), len(c.GetChunkTokens()))}
	}
	if n := len(c.GetChunkTokens()); n > 0 {
		out.Chunks = make([]sdk.Chunk, n)
	}
	at := c.GetSentNs()
	for i, delta := range c.GetChunkDeltaNs() {
		at += delta
		out.Chunks[i] = sdk.Chunk{MonoNs: at, Tokens: c.ChunkTokens[i]}
	}
	return out, nil
}
