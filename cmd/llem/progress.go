package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/result"
)

// progress shows on stderr what a study is doing: a bar on a terminal, one
// line a trial elsewhere. The bar is redrawn when something happened and at no
// other time, so nothing is drawn inside a measured window.
type progress struct {
	w     io.Writer
	quiet bool

	mu      sync.Mutex
	bars    *mpb.Progress // nil: plain lines
	bar     *mpb.Bar
	refresh chan any
	line    string
}

func newProgress(w io.Writer, quiet bool) *progress {
	p := &progress{w: w, quiet: quiet}
	if !quiet && terminal(w) {
		p.refresh = make(chan any)
		p.bars = mpb.New(mpb.WithOutput(w), mpb.WithManualRefresh(p.refresh), mpb.WithWidth(24))
	}
	return p
}

// update is called by the core for every change of phase.
func (p *progress) update(at measure.Progress) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	if p.bars == nil {
		if at.Phase == measure.PhaseDone {
			fmt.Fprintln(p.w, finishedLine(at))
		}
		p.mu.Unlock()
		return
	}
	if p.bar == nil {
		p.bar = p.bars.AddBar(int64(at.Trials),
			mpb.PrependDecorators(decor.CountersNoUnit("%d/%d")),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.current() })))
	}
	p.line = fmt.Sprintf("%s  block %d  %s %s", at.Label, at.Block+1, at.Phase, at.Detail)
	done := at.Phase == measure.PhaseDone
	p.mu.Unlock()
	if done {
		fmt.Fprintln(p.bars, finishedLine(at))
		p.bar.Increment()
	}
	p.refresh <- time.Now()
}

func (p *progress) current() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line
}

// finishedLine is a trial's outcome in one line.
func finishedLine(at measure.Progress) string {
	head := fmt.Sprintf("%s trial %d/%d block %d %s", time.Now().Format("15:04:05"), at.Trial, at.Trials, at.Block+1, at.Label)
	t := at.Finished
	if t.Status != result.StatusOK {
		return fmt.Sprintf("%s FAILED in %s: %s", head, t.Failure.Phase, t.Failure.Message)
	}
	w := t.Windows[0]
	energy := "no J/token"
	if w.EnergyPerOutputTokenJ != nil {
		energy = fmt.Sprintf("%.4g J/token", *w.EnergyPerOutputTokenJ)
	}
	return fmt.Sprintf("%s ok %s, %.4g tokens/s, %.1f s", head, energy, w.OutputTokensPerS, float64(w.DurationNs())/1e9)
}

// close leaves the terminal as it was.
func (p *progress) close() {
	if p.bars == nil {
		return
	}
	if p.bar != nil {
		p.bar.Abort(true)
	}
	p.bars.Wait()
}
