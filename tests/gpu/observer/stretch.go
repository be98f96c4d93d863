package main

import (
	"fmt"
	"io"
	"math"
	"sort"
	"sync"
	"time"
)

const (
	// counterPeriod is how often llem's source reads the energy counter.
	counterPeriod = 10 * time.Second
	// warmUp is before the first stretch, settling before each, when what was begun or
	// ended for it is over.
	warmUp   = 20 * time.Second
	settling = 1500 * time.Millisecond
)

// rig is what an experiment needs of the machine.
type rig struct {
	now     func() int64
	pass    func() (endNs int64, err error) // runs one pass of the load
	milliJ  func() (uint64, error)          // the energy counter; a call spins for some milliseconds
	celsius func() int                      // -1: not known
	watch   func() (end func() error, err error)
}

// stretch is what one showed.
type stretch struct {
	watched        bool
	fromNs, toNs   int64
	joules, passes float64
	celsius        int
}

func (s stretch) seconds() float64  { return float64(s.toNs-s.fromNs) / 1e9 }
func (s stretch) perPassJ() float64 { return s.joules / s.passes }
func (s stretch) perPassS() float64 { return s.seconds() / s.passes }
func (s stretch) watts() float64    { return s.joules / s.seconds() }

// take runs the load through all quads without a pause.
func (r rig) take(quads []quad, length time.Duration, out io.Writer) ([][4]stretch, error) {
	p := passes{stop: make(chan struct{}), over: make(chan struct{})}
	go p.run(r.pass)
	defer func() {
		close(p.stop)
		<-p.over
	}()
	time.Sleep(warmUp)
	taken := make([][4]stretch, len(quads))
	for i, q := range quads {
		for k, watched := range q {
			s, err := r.stretch(&p, watched, length)
			if err != nil {
				return nil, err
			}
			taken[i][k] = s
			note := ""
			if i == 0 {
				note = "  (thrown away)"
			}
			fmt.Fprintf(out, "quad %d  watched %-5v  %.3f s  %.3f W  %.6f ms/pass  %.6f J/pass  %d C%s\n",
				i, watched, s.seconds(), s.watts(), 1e3*s.perPassS(), s.perPassJ(), s.celsius, note)
		}
	}
	return taken, nil
}

// stretch takes one. Both its ends lie on changes of the counter, and the passes
// between them are counted to the fraction.
func (r rig) stretch(p *passes, watched bool, length time.Duration) (s stretch, err error) {
	if watched {
		end, err := r.watch()
		if err != nil {
			return s, err
		}
		defer func() {
			if stopped := end(); err == nil && stopped != nil {
				s, err = stretch{}, fmt.Errorf("the source: %w", stopped)
			}
		}()
	}
	time.Sleep(settling)
	a, err := r.change()
	if err != nil {
		return s, err
	}
	time.Sleep(time.Duration(a.atNs + int64(length) - r.now()))
	b, err := r.change()
	if err != nil {
		return s, err
	}
	count, err := p.between(a.atNs, b.atNs)
	if err != nil {
		return s, err
	}
	return stretch{watched, a.atNs, b.atNs, float64(b.milliJ-a.milliJ) / 1e3, count, r.celsius()}, nil
}

// change is a value of the counter and when it came.
type change struct {
	atNs   int64
	milliJ uint64
}

// longestWait for a change; the counter has ten in a second.
const longestWait = 2 * time.Second

// change waits for the counter's next one: between the middles of two reads.
func (r rig) change() (change, error) {
	read := func() (change, error) {
		before := r.now()
		value, err := r.milliJ()
		return change{before + (r.now()-before)/2, value}, err
	}
	last, err := read()
	for begin := last.atNs; err == nil; {
		var next change
		if next, err = read(); err != nil {
			break
		}
		if next.milliJ != last.milliJ {
			return change{last.atNs + (next.atNs-last.atNs)/2, next.milliJ}, nil
		}
		last = next
		if last.atNs-begin > int64(longestWait) {
			return change{}, fmt.Errorf("the energy counter has stood still for %v", longestWait)
		}
	}
	return change{}, err
}

// passes of the load, one after the other.
type passes struct {
	stop, over chan struct{}

	mu     sync.Mutex
	ends   []int64
	failed error
}

func (p *passes) run(pass func() (int64, error)) {
	defer close(p.over)
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		end, err := pass()
		p.mu.Lock()
		if p.ends, p.failed = append(p.ends, end), err; err != nil {
			p.ends = p.ends[:len(p.ends)-1]
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// between waits for the pass that is under way at the later stamp and counts.
func (p *passes) between(fromNs, toNs int64) (float64, error) {
	for {
		p.mu.Lock()
		ends, err := p.ends, p.failed
		p.mu.Unlock()
		if n := position(ends, toNs) - position(ends, fromNs); !math.IsInf(n, 0) && !math.IsNaN(n) && n > 0 {
			return n, nil
		}
		select {
		case <-p.over:
			return 0, fmt.Errorf("the load ended before the stretch: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// position is how many passes had ended at a time, to the fraction; infinite where
// that is not known yet.
func position(ends []int64, at int64) float64 {
	i := sort.Search(len(ends), func(i int) bool { return ends[i] >= at })
	if i == 0 || i == len(ends) {
		return math.Inf(1)
	}
	return float64(i-1) + float64(at-ends[i-1])/float64(ends[i]-ends[i-1])
}
