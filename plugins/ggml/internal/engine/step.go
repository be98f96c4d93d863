package engine

import (
	"errors"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

// step runs one step and hands out its tokens.
func (s *server) step() error {
	e := s.engine
	step := s.compose()
	logits, err := e.forward(s.rows)
	if err != nil {
		return err
	}
	vocab := e.Facts.Vocab
	for i, seq := range s.fresh {
		token := s.sampler.draw(logits[i*vocab:(i+1)*vocab], seq.random)
		seq.result.Output = append(seq.result.Output, token)
	}
	step.EndNs = sdk.MonoNow()
	e.steps.Add(1)
	e.runningSum.Add(int64(len(s.running)))
	e.scheduledTokens.Add(int64(len(s.rows)))
	e.promptTokens.Add(int64(step.PrefillTokens))
	e.outputTokens.Add(int64(len(s.fresh)))
	if s.job.Stepped != nil {
		s.job.Stepped(step)
	}
	if s.job.Prefilled != nil && step.PrefillTokens > 0 && !s.waiting() {
		s.job.Prefilled()
	}
	return s.deliver(step.EndNs)
}

// waiting tells whether a first token is still to come.
func (s *server) waiting() bool {
	return len(s.queue) > 0 || slices.ContainsFunc(s.running, (*sequence).prefilling)
}

// compose fills rows and fresh; the wanted rows are those of fresh, in order.
// Every sequence that decodes has its row, which always fits, and prompts
// share what is left of the step.
func (s *server) compose() (step Step) {
	s.rows, s.fresh = s.rows[:0], s.fresh[:0]
	if !s.job.PrefillFirst || !slices.ContainsFunc(s.running, (*sequence).prefilling) {
		for _, seq := range s.running {
			if !seq.prefilling() {
				last := seq.result.Output[len(seq.result.Output)-1]
				s.enter(seq, last, true)
				step.DecodeTokens++
			}
		}
	}
	for _, seq := range s.running {
		for seq.prefilling() && len(s.rows) < MaxBatchTokens {
			// A decoding sequence of this step is past its prompt, so none
			// gets a second row here.
			s.enter(seq, seq.request.Prompt[seq.entered], seq.entered == len(seq.request.Prompt)-1)
			step.PrefillTokens++
		}
	}
	return step
}

// enter adds a sequence's next token to the step.
func (s *server) enter(seq *sequence, token uint32, wanted bool) {
	s.rows = append(s.rows, row{token: token, position: int32(seq.entered), slot: seq.slot, wanted: wanted})
	seq.entered++
	if wanted {
		s.fresh = append(s.fresh, seq)
	}
}

// deliver stamps the step's tokens and ends the sequences that are complete.
func (s *server) deliver(endNs int64) error {
	for _, seq := range s.fresh {
		r := &seq.result
		if r.FirstNs == 0 {
			r.FirstNs, r.PromptTokens = endNs, len(seq.request.Prompt)
		}
		r.LastNs = endNs
		if s.job.TokenStamps {
			r.TokenNs = append(r.TokenNs, endNs)
		}
		switch {
		case s.job.StopAtEnd && s.engine.ends(r.Output[len(r.Output)-1]):
			r.Reason = EndText
		case len(r.Output) == seq.request.MaxTokens:
			r.Reason = Length
		default:
			continue
		}
		s.job.Done(*r)
		if err := s.engine.forget(seq.slot); err != nil {
			return err
		}
		s.free = append(s.free, seq.slot)
	}
	s.running = slices.DeleteFunc(s.running, func(seq *sequence) bool { return seq.result.Reason != "" })
	return nil
}

// endAll ends everything in flight for one reason.
func (s *server) endAll(reason Reason, cause error) (err error) {
	for _, seq := range s.running {
		err = errors.Join(err, s.engine.forget(seq.slot))
	}
	for _, seq := range slices.Concat(s.running, s.queue) {
		if seq.result.Reason != "" {
			continue // done already
		}
		seq.result.Reason, seq.result.Err = reason, cause
		s.job.Done(seq.result)
	}
	return err
}
