package main

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// machine is a card under load whose counter moves every 100 ms, as an H100's does,
// with calls that take 2.5 to 12 ms. Its power rises while it warms up, and a watched
// card draws a little more. Its time is that of the test's bubble.
type machine struct {
	mu       sync.Mutex
	begin    time.Time
	at       time.Time // until when joules are counted
	joules   float64
	shown    uint64 // by the counter
	effect   float64
	watched  bool
	random   *rand.Rand
	looked   []int64 // when a watcher read the counter
	passFail int     // the pass that fails; 0 = none
	passes   int
}

func (m *machine) now() int64 { return time.Since(m.begin).Nanoseconds() + 1 }

// advance counts joules until now. m.mu is held.
func (m *machine) advance() {
	const step, tick = 10 * time.Millisecond, 100 * time.Millisecond
	for now := time.Now(); m.at.Before(now); {
		next := m.begin.Add(m.at.Sub(m.begin).Truncate(step) + step)
		if next.After(now) {
			next = now
		}
		p := 400 * (1 + 0.006*(1-math.Exp(-m.at.Sub(m.begin).Seconds()/60))) * (1 + 0.002*m.random.NormFloat64())
		if m.watched {
			p *= 1 + m.effect
		}
		m.joules += p * next.Sub(m.at).Seconds()
		if m.at = next; next.Sub(m.begin)%tick == 0 {
			m.shown = uint64(1e3 * m.joules)
		}
	}
}

func (m *machine) milliJ() (uint64, error) {
	m.mu.Lock()
	latency := time.Duration(2.5e6 + 9.5e6*m.random.Float64())
	m.mu.Unlock()
	time.Sleep(latency / 2)
	m.mu.Lock()
	defer func() { m.mu.Unlock(); time.Sleep(latency / 2) }()
	m.advance()
	return m.shown, nil
}

func (m *machine) pass() (int64, error) {
	m.mu.Lock()
	m.passes++
	fail := m.passes == m.passFail
	length := time.Duration(64e6 * (1 + 0.005*m.random.NormFloat64()))
	m.mu.Unlock()
	time.Sleep(length)
	if fail {
		return 0, errors.New("out of memory")
	}
	return m.now(), nil
}

func (m *machine) watch() (func() error, error) {
	m.mu.Lock()
	m.advance()
	m.watched = true
	m.mu.Unlock()
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(counterPeriod)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				m.looked = append(m.looked, m.now())
			}
		}
	}()
	return func() error {
		close(stop)
		<-over
		m.mu.Lock()
		defer m.mu.Unlock()
		m.advance()
		m.watched = false
		return nil
	}, nil
}

func fake(effect float64, seed uint64) (*machine, rig) {
	m := &machine{begin: time.Now(), at: time.Now(), effect: effect, random: rand.New(rand.NewPCG(seed, 1))}
	return m, rig{now: m.now, pass: m.pass, milliJ: m.milliJ, celsius: func() int { return 60 }, watch: m.watch}
}

// Six quads of 10 s, in less than six minutes, tell 0.1 % from nothing on a card that
// warms up all the while.
func TestATenthOfAPercent(t *testing.T) {
	for seed, effectRel := range []float64{0, 0.001, 0.003} {
		synctest.Test(t, func(t *testing.T) {
			m, r := fake(effectRel, uint64(seed))
			taken, err := r.take(order(6, 1), counterPeriod, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(m.begin); took > 6*time.Minute {
				t.Errorf("it took %v", took)
			}
			c, err := effect(taken[1:], "energy per pass", "J", stretch.perPassJ)
			if err != nil {
				t.Fatal(err)
			}
			if half := (*c.Hi - *c.Lo) / 2; half > wantedRel || math.Abs(c.Ratio-1-effectRel) > 2*half {
				t.Errorf("an effect of %v: %.5f [%.5f, %.5f]", effectRel, c.Ratio-1, *c.Lo-1, *c.Hi-1)
			}
			// Each watched stretch holds one read of the counter.
			for _, q := range taken {
				for _, s := range q {
					reads := 0
					for _, at := range m.looked {
						if at >= s.fromNs && at <= s.toNs {
							reads++
						}
					}
					if want := map[bool]int{true: 1}[s.watched]; reads != want {
						t.Errorf("watched %v: %d reads of the counter in it", s.watched, reads)
					}
				}
			}
		})
	}
}

func TestWhatIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r := fake(0.003, 3)
		var out strings.Builder
		taken, err := r.take(order(2, 1), counterPeriod, &out)
		if err != nil {
			t.Fatal(err)
		}
		if err := tell(&out, taken[1:]); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if n := strings.Count(text, "J/pass"); n != 12 || strings.Count(text, "(thrown away)") != 4 {
			t.Errorf("%d stretches:\n%s", n, text)
		}
		for _, want := range []string{"quad 1: watched / not watched +0.", "energy per pass, watched / not watched: +0.", "power, watched", "time per pass, watched", "scatter of energy per pass", "0.1 % is "} {
			if !strings.Contains(text, want) {
				t.Errorf("it lacks %q:\n%s", want, text)
			}
		}
	})
}

// A load that ends is the error, and nothing waits for it.
func TestALoadThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := fake(0, 1)
		m.passFail = 500
		if _, err := r.take(order(2, 1), counterPeriod, io.Discard); err == nil || !strings.Contains(err.Error(), "out of memory") {
			t.Error(err)
		}
	})
}

func TestACounterThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r := fake(0, 1)
		r.milliJ = func() (uint64, error) { time.Sleep(5 * time.Millisecond); return 7, nil }
		if _, err := r.take(order(2, 1), counterPeriod, io.Discard); err == nil || !strings.Contains(err.Error(), "stood still") {
			t.Error(err)
		}
	})
}

func TestOrder(t *testing.T) {
	first := map[bool]int{}
	for _, q := range order(8, 7)[1:] {
		first[q[0]]++
		if q[0] != q[3] || q[1] != q[2] || q[0] == q[1] {
			t.Errorf("%v does not cancel a drift", q)
		}
	}
	if first[true] != 4 {
		t.Errorf("%v", first)
	}
	if a, b := order(8, 7), order(8, 8); len(a) != 9 || a[0] != b[0] || equal(a, b) {
		t.Error("the order is not drawn by the seed, or the first quad is not fixed")
	}
}

func equal(a, b []quad) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"": "usage", "w 1": "no interval", "w 6 8": "a multiple", "w x": "no number", "w 6 10 1 1": "usage",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if s, err := parse([]string{"w", "4", "20", "9"}); err != nil || s.quads != 4 || s.length != 20*time.Second || s.seed != 9 {
		t.Errorf("%+v, %v", s, err)
	}
}
