package measure

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// A source that dies, floods or stands still loses the trial that it does so
// in; it is started again before the next. The waits of a minute for its
// watermark do not happen.
func TestASourceThatBreaks(t *testing.T) {
	for _, c := range []struct {
		fault, message, code string
		from                 Phase
	}{
		{"exit", "exit code 5): sensor bus error", "source_stopped", PhaseMeasure},
		{"flood", `source_flood: domain "package-0" declares an update period of 5 ms and sends more than 20000 samples a second`, "source_flood", PhaseMeasure},
		{"stuck", "the source is complete until: the watermark of domain process/package-0 stood still for", "source_stuck", PhaseIdle},
	} {
		t.Run(c.fault, func(t *testing.T) {
			r := newRig(t, "", "").each(func(c *study.Cell) { c.Protocol.IdleS = 0.05 })
			r.study.Energy = []string{"process"}
			r.options.waits.watermark, r.options.waits.standstill = time.Minute, time.Second
			r.onPhase = func(p Progress) {
				var err error
				switch {
				case p.Trial == 1 && p.Phase == c.from:
					err = os.WriteFile(r.fault, []byte(c.fault), 0o600)
				case p.Trial == 1 && p.Phase == PhaseDone:
					err = os.Remove(r.fault)
				}
				if err != nil {
					t.Error(err)
				}
			}
			began := time.Now()
			out, ok, failed, err := r.run(t.Context())
			if err != nil || out != (Outcome{Done: 1, Failed: 1}) {
				t.Fatalf("%+v, %v", out, err)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %v", took)
			}
			f := failed[0].Failure
			for _, words := range strings.Split(c.message, ": ") {
				if f.Phase != "window" || f.Code != "no_energy" || !strings.Contains(f.Message, words) {
					t.Errorf("the failure is %+v, want %q", f, words)
				}
			}
			wantCode(t, failed[0], c.code+"/warning")
			wantCode(t, ok[0], "source_restarted/info")
			if strings.Contains(codes(ok[0]), c.code) {
				t.Errorf("the next trial has %s", codes(ok[0]))
			}
			near(t, "power", *ok[0].Windows[0].MeanPowerW, 100, 1e-6)
		})
	}
}

// long makes windows so long that their middle is known in advance on a machine that
// is busy with other things, too.
func (r *rig) long() *rig {
	return r.each(func(c *study.Cell) { c.Protocol.WindowS = 4.05 })
}

// inWindow tells whether a stamp lies in the middle of the window of a rig
// that conditions for 0.25 s and measures for 4 s.
func (r *rig) inWindow(ns, lengthNs int64) bool {
	began := r.began.Load()
	since := ns - began
	return began != 0 && since > 2000e6 && since < 2000e6+lengthNs
}

// Recordings with faults: the energy is right, or its window says why not.
func TestAMetersFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*rig)
		rel   float64 // 0: no energy
		codes []string
		fatal string
	}{
		{name: "repeats a batch", rel: 1e-6, codes: []string{"sequence_repeat/warning", "duplicate_sample/info"}, spoil: func(r *rig) {
			var last sdk.SampleBatch
			r.meter.change = func(b *sdk.SampleBatch) bool {
				if r.inWindow(b.CompleteUntilNs, 50e6) {
					*b = last
				} else {
					last = *b
				}
				return true
			}
		}},
		{name: "goes back in time", rel: 1e-6, codes: []string{"stamps_backwards/warning"}, spoil: func(r *rig) {
			r.meter.change = func(b *sdk.SampleBatch) bool {
				if r.inWindow(b.CompleteUntilNs, 20e6) {
					b.MonoNs[0] -= 200e6
				}
				return true
			}
		}},
		{name: "loses samples for a while", rel: 1e-6, codes: []string{"sample_gap/warning", "low_coverage/warning"}, spoil: func(r *rig) {
			r.meter.change = func(b *sdk.SampleBatch) bool { return !r.inWindow(b.CompleteUntilNs, 500e6) }
		}},
		{name: "loses most samples", rel: 1e-6, fatal: "low_coverage", spoil: func(r *rig) {
			r.meter.change = func(b *sdk.SampleBatch) bool { return !r.inWindow(b.CompleteUntilNs, 1800e6) }
		}},
		{name: "negative power", rel: 0.1, fatal: "negative_power", spoil: func(r *rig) {
			r.meter.powerW = func(ns int64) float64 {
				if r.inWindow(ns, 20e6) {
					return -100
				}
				return 100
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "").long()
			c.spoil(r)
			got := r.one()
			for _, code := range c.codes {
				wantCode(t, got, code)
			}
			if c.fatal != "" {
				wantExcluded(t, got, c.fatal)
			} else if !got.Ranked {
				t.Errorf("not ranked: %s", codes(got))
			}
			near(t, "power", *got.Windows[0].MeanPowerW, 100, c.rel)
		})
	}
}

// Without joules a trial fails and says what the source did.
func TestAWindowWithoutEnergy(t *testing.T) {
	for _, c := range []struct {
		name, message string
		spoil         func(*rig)
		check         func(*testing.T, result.Trial)
	}{
		{name: "the watermark stands still", message: "the source is complete until", spoil: func(r *rig) {
			r.options.waits.watermark = 300 * time.Millisecond
			r.options.Cells[0].Protocol.IdleS = 0.1
			r.meter.change = func(b *sdk.SampleBatch) bool { b.CompleteUntilNs = 0; return true }
		}, check: func(t *testing.T, trial result.Trial) {
			wantCode(t, trial, "idle_power_unknown/info")
			wantCode(t, trial, "not_warm/warning")
			if reason := trial.Conditioning.Reason; !strings.Contains(reason, "power not known") {
				t.Errorf("conditioned: %s", reason)
			}
		}},
		{name: "the counter starts again", message: "the sensor restarted", spoil: func(r *rig) {
			r.long()
			var epoch uint32
			var counted int64
			r.meter.domain = func(d *sdk.Domain) { d.Reading, d.Unit = sdk.ReadingCounter, sdk.UnitJoule }
			r.meter.change = func(b *sdk.SampleBatch) bool {
				if counted += 500; epoch == 0 && r.inWindow(b.CompleteUntilNs, 1e9) {
					epoch, counted = 1, 0
				}
				b.Epoch, b.Values[0] = epoch, counted
				return true
			}
		}},
		{name: "zeros to the end", message: "samples were left out: zero_samples (not_covered)", spoil: func(r *rig) {
			r.long()
			r.meter.powerW = func(ns int64) float64 {
				if r.inWindow(ns, time.Hour.Nanoseconds()) {
					return 0
				}
				return 100
			}
		}, check: func(t *testing.T, trial result.Trial) { wantCode(t, trial, "zero_samples/warning") }},
		{name: "the same samples to the end", message: "samples were left out: duplicate_sample (not_covered)", spoil: func(r *rig) {
			r.long()
			var last sdk.SampleBatch
			r.meter.change = func(b *sdk.SampleBatch) bool {
				if r.inWindow(b.CompleteUntilNs, time.Hour.Nanoseconds()) {
					b.MonoNs, b.Values = last.MonoNs, last.Values
				} else {
					last = *b
				}
				return true
			}
		}, check: func(t *testing.T, trial result.Trial) { wantCode(t, trial, "duplicate_sample/info") }},
		{name: "back in time to the end", message: "samples were left out: stamps_backwards", spoil: func(r *rig) {
			r.long()
			r.meter.change = func(b *sdk.SampleBatch) bool {
				if r.inWindow(b.CompleteUntilNs, time.Hour.Nanoseconds()) {
					b.MonoNs[0] -= 1e9 // a quarter of the window is missed, however late it is computed
				}
				return true
			}
		}, check: func(t *testing.T, trial result.Trial) {
			wantCode(t, trial, "stamps_backwards/warning")
			wantCode(t, trial, "watermark_broken/warning")
		}},
		{name: "an unknown domain", message: `source inside stopped: samples of an unknown domain "other"`, spoil: func(r *rig) {
			r.meter.change = func(b *sdk.SampleBatch) bool { b.DomainID = "other"; return true }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "")
			c.spoil(r)
			_, _, failed, err := r.run(t.Context())
			if err != nil || len(failed) != 1 {
				t.Fatalf("%d failed, %v", len(failed), err)
			}
			f := failed[0].Failure
			if f.Phase != "window" || f.Code != codeNoEnergy || !strings.Contains(f.Message, c.message) {
				t.Errorf("the failure is %+v", f)
			}
			if c.check != nil {
				c.check(t, failed[0])
			}
		})
	}
}

// A trailing mean says what was half its average ago: the trial waits for that
// before it computes, so that no edge is held.
func TestTheWaitKnowsTheSensorsAverage(t *testing.T) {
	domain := energy.Domain{
		ID: "s/d", Source: "s", Reading: energy.ReadingTrailingMean, AveragingNs: 1000, UpdateNs: 10, LagNs: 5, UnitNum: 1, UnitDen: 1,
	}
	r := &recorder{failed: map[string]error{}}
	for until, want := range map[int64]bool{5524: false, 5525: true} {
		trace, err := energy.NewTrace(domain, nil, until)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.complete(map[string]*energy.Trace{"s/d": trace}, 5000); got != want {
			t.Errorf("complete until %d: %v", until, got)
		}
	}
}
