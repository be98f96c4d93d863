package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/report"
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
	gone    chan any               // has a value once the bars cannot be drawn any more
	dir     string                 // where results are kept, once it is made
	kept    int                    // trials that are finished
	line    atomic.Pointer[string] // what the bar says; read while it is drawn
}

func newProgress(w io.Writer, quiet bool) *progress {
	return &progress{w: w, quiet: quiet}
}

// open begins with a line about the whole study.
func (p *progress) open(headline string) {
	if !p.quiet && terminal(p.w) {
		p.refresh, p.gone = make(chan any), make(chan any, 1)
		p.bars = mpb.New(mpb.WithOutput(device(p.w)), mpb.WithManualRefresh(p.refresh), mpb.WithShutdownNotifier(p.gone), mpb.WithWidth(24))
	}
	p.say(headline)
}

// update is called by the core for every change of phase.
func (p *progress) update(at measure.Progress) {
	if at.Phase == measure.PhaseDone {
		p.say(finishedLine(at))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.Phase == measure.PhaseDone && at.Finished.Status == result.StatusOK {
		p.kept++
	}
	if p.bars == nil {
		return
	}
	line := strings.TrimSpace(report.OneLine(fmt.Sprintf("%s  block %d  %s %s", at.Label, at.Block+1, at.Phase, at.Detail)))
	p.line.Store(&line)
	if p.bar == nil {
		bar, err := p.bars.Add(int64(at.Trials), mpb.BarStyle().Build(),
			mpb.PrependDecorators(decor.CountersNoUnit("%d/%d")),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return *p.line.Load() })))
		if err != nil {
			p.bars = nil
			return
		}
		p.bar = bar
	}
	if at.Phase == measure.PhaseDone {
		p.bar.Increment()
	}
	p.draw()
}

// created notes the result directory.
func (p *progress) created(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dir = dir
}

// interrupted says what an interrupt leaves, and where. It says so at once: another
// one kills llem without a word.
func (p *progress) interrupted() {
	p.mu.Lock()
	dir, kept := p.dir, p.kept
	p.mu.Unlock()
	line := "interrupted: unloading the engine; interrupt again to kill it"
	if dir != "" {
		line += fmt.Sprintf(". %s finished and kept in %s, whatever happens now", count(kept, "trial"), dir)
	}
	p.say(line)
}

// draw redraws the bar. A terminal that has gone away, as after a hangup, ends
// the drawing and nothing else: the engine still has to be unloaded.
func (p *progress) draw() {
	select {
	case p.refresh <- time.Now():
	case <-p.gone:
		p.bars = nil
	}
}

// say prints a line, above the bar if there is one.
func (p *progress) say(line string) {
	if p.quiet {
		return
	}
	line = report.OneLine(line)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars == nil {
		fmt.Fprintln(p.w, line)
		return
	}
	if _, err := fmt.Fprintln(p.bars, line); err == nil {
		p.draw()
	}
}

// finishedLine is a trial's outcome in one line.
func finishedLine(at measure.Progress) string {
	head := fmt.Sprintf("%s trial %d/%d block %d %s", time.Now().Format("15:04:05"), at.Trial, at.Trials, at.Block+1, at.Label)
	t := at.Finished
	if t.Status == result.StatusInterrupted {
		return fmt.Sprintf("%s interrupted in %s", head, t.Failure.Phase)
	}
	if t.Status != result.StatusOK {
		return fmt.Sprintf("%s FAILED in %s: %s", head, t.Failure.Phase, t.Failure.Message)
	}
	w := t.Windows[0]
	energy := "no J/token"
	if w.EnergyPerOutputTokenJ != nil {
		energy = fmt.Sprintf("%.4g J/token", *w.EnergyPerOutputTokenJ)
	}
	outcome := "ok"
	if codes := t.NotRankedBy(); len(codes) > 0 {
		outcome += ", not ranked: " + strings.Join(codes, ", ") + ";"
	}
	return fmt.Sprintf("%s %s %s, %.4g tokens/s, window %.1f s", head, outcome, energy, w.OutputTokensPerS, float64(w.DurationNs())/1e9)
}

// close leaves the terminal as it was.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars == nil {
		return
	}
	if p.bar != nil {
		p.bar.Abort(true)
		p.draw()
	}
	if p.bars != nil {
		p.bars.Wait()
		p.bars = nil
	}
}
