package engine

import (
	"context"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

// passes runs static batches: a pass is divided into batches of batch_size,
// prompts are padded to the longest of their batch, and a sequence that is
// over keeps its slot until the batch is. All stamps are the schedule's, which
// runs on from pass to pass, with the gaps that the host asks for: a machine that
// wakes late does not lengthen it.
func (e *Engine) passes(ctx context.Context, run *sdk.Run) error {
	nowNs := sdk.MonoNow()
	for pass := range run.Passes(ctx) {
		nowNs += pass.GapNs
		pass.BeginAt(nowNs)
		var all []*sequence
		for i, item := range pass.Items {
			all = append(all, newSequence(sdk.Request{Index: pass.First + uint32(i), Item: item}, nowNs, run.Work()))
			all[i].done.IntendedNs = nowNs
		}
		single := len(all) <= e.batchSize
		for batch := range slices.Chunk(all, e.batchSize) {
			for _, s := range batch {
				s.done.SentNs = nowNs
			}
			endNs, ok, err := e.batch(ctx, run, pass, nowNs, batch, single)
			if !ok {
				e.abort(run, unfinished(all))
				return err
			}
			nowNs = endNs
		}
		pass.EndAt(nowNs)
	}
	return nil
}

// batch runs one batch to its end.
func (e *Engine) batch(ctx context.Context, run *sdk.Run, pass *sdk.Pass, nowNs int64, batch []*sequence, single bool) (endNs int64, ok bool, err error) {
	first, padding := prompts(batch)
	for l := first; l.prefilling+l.decoding > 0; l = decoding(batch) {
		nowNs, ok, err = e.step(ctx, run, nowNs, l)
		if !ok {
			return nowNs, false, err
		}
		if l.prefilling > 0 {
			pass.Padding(int64(padding))
			if single {
				pass.PrefillEndAt(nowNs)
			}
		}
		pass.Padding(int64(l.idleSlots))
		for _, s := range batch {
			if s.completed {
				continue
			}
			s.token(nowNs, run.Spec().Record)
			if s.over() {
				e.complete(run, s)
			}
		}
	}
	return nowNs, true, nil
}

// prompts is the first step of a static batch.
func prompts(batch []*sequence) (l load, padding int) {
	longest := 0
	for _, s := range batch {
		longest = max(longest, len(s.request.Item.TokenIDs))
		l.promptTokens += len(s.request.Item.TokenIDs)
	}
	l.prefilling = len(batch)
	l.promptPadding = longest*len(batch) - l.promptTokens
	return l, l.promptPadding
}

// decoding is any later step.
func decoding(batch []*sequence) load {
	l := load{decoding: len(unfinished(batch))}
	l.idleSlots = len(batch) - l.decoding
	return l
}

func unfinished(all []*sequence) []*sequence {
	var left []*sequence
	for _, s := range all {
		if !s.completed {
			left = append(left, s)
		}
	}
	return left
}
