package main

import "github.com/llenergymeasure/llem/sdk"

// voice plays one domain. Its stamps are recorded ones until they are sent.
type voice struct {
	id       string
	cursor   cursor
	troubles troubles
	offsetNs int64 // added to what is sent
	// completeNs is the recorded watermark, which is never passed at the end.
	completeNs int64
	lapNs      int64 // 0 = it is played once
	epochStep  uint32

	beginNs int64 // of each lap: the first sample of any domain

	emit     func(sdk.SampleBatch) error
	lap      int64
	loss     int // the next of each
	echo     int
	lastNs   int64 // of this lap's samples; -1 = none
	markNs   int64 // last watermark sent, as sent
	sequence uint64
	batch    sdk.SampleBatch
	over     bool
}

// markStepNs is how far a watermark moves at least when no sample comes.
const markStepNs = int64(100e6)

// mostSamples of a batch keep it far below what a message may hold.
const mostSamples = 4096

// play sends what was recorded until untilNs of the first lap's stamps, and
// returns the stamp of the next sample in the same terms; ok is false when
// there will be none.
func (v *voice) play(untilNs int64) (nextNs int64, ok bool, err error) {
	for {
		until := untilNs - v.lap*v.lapNs
		next, more, err := v.samples(until)
		switch {
		case err != nil:
			return 0, false, err
		case more:
			return next + v.lap*v.lapNs, true, v.progress(min(until, next-1))
		case v.over:
			return 0, false, nil
		case v.lapNs == 0 && until < v.completeNs:
			return v.completeNs, true, v.progress(until)
		case v.lapNs == 0:
			v.over = true
			return 0, false, v.finish()
		}
		begin := v.beginNs + v.lapNs
		if until < begin {
			return begin + v.lap*v.lapNs, true, v.progress(until)
		}
		v.cursor.rewind()
		v.lap, v.offsetNs = v.lap+1, v.offsetNs+v.lapNs
		v.loss, v.echo, v.lastNs = 0, 0, -1
	}
}

// samples sends all samples until the stamp and gives that of the next one.
func (v *voice) samples(untilNs int64) (nextNs int64, more bool, err error) {
	for {
		s, ok, err := v.cursor.peek()
		if err != nil || !ok || s.ns > untilNs {
			if err == nil && len(v.batch.MonoNs) > 0 {
				err = v.flush(v.lastNs)
			}
			return s.ns, ok, err
		}
		if err := v.lose(s.ns); err != nil {
			return 0, false, err
		}
		epoch := s.epoch + uint32(v.lap)*v.epochStep
		if len(v.batch.MonoNs) >= mostSamples || len(v.batch.MonoNs) > 0 && v.batch.Epoch != epoch {
			if err := v.flush(v.lastNs); err != nil {
				return 0, false, err
			}
		}
		v.batch.Epoch = epoch
		v.add(s.ns, s.value)
		v.lastNs = s.ns
		v.spoil(s)
		v.cursor.advance()
	}
}

func (v *voice) add(ns, value int64) {
	v.batch.MonoNs, v.batch.Values = append(v.batch.MonoNs, ns+v.offsetNs), append(v.batch.Values, value)
}

// lose plays the losses before the sample at ns.
func (v *voice) lose(ns int64) error {
	for ; v.loss < len(v.troubles.losses) && v.troubles.losses[v.loss].atNs < ns; v.loss++ {
		l := v.troubles.losses[v.loss]
		if err := v.flush(max(l.atNs, v.lastNs)); err != nil {
			return err
		}
		if v.sequence == 0 { // something must have come before
			if err := v.send(sdk.SampleBatch{CompleteUntilNs: v.sent(l.atNs)}); err != nil {
				return err
			}
		}
		v.sequence += l.skipped
		for range min(l.again, mostSamples) {
			v.sequence--
			if err := v.send(sdk.SampleBatch{Epoch: v.batch.Epoch, CompleteUntilNs: v.markNs}); err != nil {
				return err
			}
		}
		v.batch.Dropped += l.dropped
		if l.bare > 0 {
			bare := sdk.SampleBatch{Epoch: v.batch.Epoch, CompleteUntilNs: v.markNs, MonoNs: make([]int64, min(l.bare, mostSamples))}
			if err := v.send(bare); err != nil {
				return err
			}
		}
	}
	return nil
}

// spoil repeats and misplaces samples around s, as the recording met them.
func (v *voice) spoil(s row) {
	for ; v.echo < len(v.troubles.echoes); v.echo++ {
		e := v.troubles.echoes[v.echo]
		if e.atNs > s.ns || e.atNs == s.ns && e.code == codeBackwards {
			return // its turn comes after a later sample
		}
		// What comes too late for its place is left out: it would count as
		// something else.
		for range min(e.count, mostSamples) {
			switch {
			case e.code == codeDuplicate && e.atNs == s.ns:
				v.add(s.ns, s.value)
			case e.code == codeConflict && e.atNs == s.ns:
				v.add(s.ns, s.value^1)
			case e.code == codeBackwards && e.atNs < s.ns:
				v.add(e.atNs, s.value)
			case e.code == codeBadStamp: // whatever it was, a recorder notes it at the sample before
				v.batch.MonoNs, v.batch.Values = append(v.batch.MonoNs, -1), append(v.batch.Values, s.value)
			}
		}
	}
}

// finish plays what lies behind the last sample: losses, watermarks that fell,
// and the last watermark.
func (v *voice) finish() error {
	if err := v.lose(max(v.completeNs, v.lastNs) + 1); err != nil {
		return err
	}
	v.batch.CompleteUntilNs = max(v.sent(v.completeNs), v.markNs)
	if err := v.send(v.batch); err != nil {
		return err
	}
	for _, m := range v.troubles.marks {
		for range min(m.count, mostSamples) {
			if err := v.send(sdk.SampleBatch{Epoch: v.batch.Epoch, CompleteUntilNs: m.atNs + v.offsetNs}); err != nil {
				return err
			}
		}
	}
	return nil
}

// progress moves the watermark on without a sample, if it has not moved for a
// while. It stays where the next loss wants it.
func (v *voice) progress(ns int64) error {
	if v.lapNs == 0 {
		ns = min(ns, v.completeNs)
	}
	if v.loss < len(v.troubles.losses) {
		ns = min(ns, max(v.lastNs, v.troubles.losses[v.loss].atNs))
	}
	if ns+v.offsetNs-v.markNs < markStepNs {
		return nil
	}
	return v.flush(ns)
}

// flush sends what was collected, with a watermark that does not fall.
func (v *voice) flush(markNs int64) error {
	mark := v.sent(markNs)
	if len(v.batch.MonoNs) == 0 && v.batch.Dropped == 0 && mark <= v.markNs {
		return nil
	}
	batch, epoch := v.batch, v.batch.Epoch
	batch.CompleteUntilNs = max(mark, v.markNs)
	v.batch = sdk.SampleBatch{Epoch: epoch}
	return v.send(batch)
}

// sent is a recorded watermark as it is sent. What was recorded as complete is
// never passed, though samples behind it may be there.
func (v *voice) sent(ns int64) int64 {
	if v.lapNs == 0 {
		ns = min(ns, v.completeNs)
	}
	return max(0, ns+v.offsetNs)
}

func (v *voice) send(b sdk.SampleBatch) error {
	b.DomainID, b.Sequence = v.id, v.sequence
	v.sequence++
	v.markNs = max(v.markNs, b.CompleteUntilNs)
	return v.emit(b)
}
