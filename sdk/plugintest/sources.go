package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// The rules about energy sources. A sensor that is absent or forbidden on
// this machine skips them.
const openRule = "Open finds sound domains"

var sourceRules = []rule{
	{"Stream is refused before Open", streamsTooEarly},
	{openRule, opens},
	{"samples arrive, in order and complete up to their watermark", samples},
	{"Close ends the stream and may be repeated", closes},
	{"nothing is left of a source killed during a stream", killedStreaming},
}

func streamsTooEarly(ctx context.Context, s *suite) error {
	return s.with(ctx, sdk.KindEnergySource, func(p *host.Plugin) error {
		return refused("Stream before Open", p.Stream(ctx, func(sdk.SampleBatch) error { return nil }))
	})
}

// open opens the sensors of a process.
func (s *suite) open(ctx context.Context, p *host.Plugin) ([]sdk.Domain, error) {
	for _, parameter := range p.Description().SourceSchema {
		_, given := s.options.SourceParameters[parameter.Key]
		_, secret := s.options.Secrets[parameter.Key]
		if parameter.Required && !given && !secret {
			return nil, skip("the source requires the parameter %q; name its parameters and secrets", parameter.Key)
		}
	}
	domains, err := p.Open(ctx, sdk.OpenRequest{Parameters: s.options.SourceParameters, Secrets: s.options.Secrets})
	if errors.Is(err, sdk.Permission) || errors.Is(err, sdk.DeviceMissing) {
		return nil, lacking("%v", err)
	}
	return domains, err
}

// opened runs judge on a process of its own with open sensors.
func (s *suite) opened(ctx context.Context, judge func(*host.Plugin, []sdk.Domain) error) error {
	return s.with(ctx, sdk.KindEnergySource, func(p *host.Plugin) error {
		if s.broken[openRule] {
			return skip("the domains are not sound")
		}
		domains, err := s.open(ctx, p)
		if err != nil {
			return err
		}
		return judge(p, domains)
	})
}

func opens(ctx context.Context, s *suite) error {
	return s.opened(ctx, func(_ *host.Plugin, domains []sdk.Domain) error { return judgeDomains(domains) })
}

var domainKinds = []sdk.DomainKind{
	sdk.DomainGPU, sdk.DomainGPUMemory, sdk.DomainModule, sdk.DomainCPUPackage, sdk.DomainDRAM, sdk.DomainNode, sdk.DomainRack,
}

func judgeDomains(domains []sdk.Domain) error {
	if len(domains) == 0 {
		return fmt.Errorf("there is no domain; no readable sensor is an error of code %s or %s", sdk.Permission, sdk.DeviceMissing)
	}
	var wrong []error
	inside := map[string]string{}
	for _, d := range domains {
		expect := func(ok bool, format string, args ...any) {
			if !ok {
				wrong = append(wrong, fmt.Errorf("domain %q: %w", d.ID, fmt.Errorf(format, args...)))
			}
		}
		_, again := inside[d.ID]
		inside[d.ID] = d.ContainedIn
		expect(d.ID != "" && !again, "the id must be there and occur once")
		expect(slices.Contains(domainKinds, d.Kind), "the kind %q is not one of the contract's", d.Kind)
		unit := sdk.UnitWatt
		switch d.Reading {
		case sdk.ReadingCounter:
			unit = sdk.UnitJoule
		case sdk.ReadingInstant, sdk.ReadingTrailingMean, sdk.ReadingIntervalMean:
		default:
			expect(false, "the reading %q is not one of the contract's", d.Reading)
		}
		expect(d.Unit == unit, "a reading of kind %s is in %s, not in %s", d.Reading, unit, d.Unit)
		expect(d.UnitNumerator > 0 && d.UnitDenominator > 0, "one count is %d/%d %s; both must be positive", d.UnitNumerator, d.UnitDenominator, d.Unit)
		expect(d.UpdatePeriodNs > 0, "the update period is %d ns and must be positive", d.UpdatePeriodNs)
		expect(d.Reading != sdk.ReadingTrailingMean || d.AveragingNs > 0, "a trailing mean needs its averaging time")
		expect(d.AveragingNs >= 0 && d.LagNs >= 0 && d.LagSpreadNs >= 0 && d.FirstSampleNs >= 0, "a duration is negative")
	}
	for id, outer := range inside {
		// A chain longer than the domains goes round.
		for steps := 0; outer != ""; steps++ {
			next, known := inside[outer]
			if !known || steps > len(domains) {
				wrong = append(wrong, fmt.Errorf("domain %q is contained in %q, which is no domain or lies within it", id, outer))
				break
			}
			outer = next
		}
	}
	return errors.Join(wrong...)
}

const (
	// sampleLimit is how long a source may take to deliver, or longer if its
	// domains say so.
	sampleLimit = 5 * time.Second
	// wantedBatches of each domain show its order.
	wantedBatches = 3
	// endLimit is how long a stream may take to end after Close.
	endLimit = 2 * time.Second
)

// patience is how long samples of all domains may take to arrive.
func patience(domains []sdk.Domain) time.Duration {
	limit := sampleLimit
	for _, d := range domains {
		limit = max(limit, time.Duration(d.FirstSampleNs+(wantedBatches+1)*d.UpdatePeriodNs))
	}
	return limit
}

func samples(ctx context.Context, s *suite) error {
	return s.opened(ctx, func(p *host.Plugin, domains []sdk.Domain) error {
		limit := patience(domains)
		// No deadline: the source would see it, too, and end its stream first.
		streamCtx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(limit, cancel).Stop()
		judges := map[string]*domainJudge{}
		for _, d := range domains {
			judges[d.ID] = &domainJudge{domain: d}
		}
		var failed error
		waiting := len(judges)
		err := p.Stream(streamCtx, func(b sdk.SampleBatch) error {
			judge, known := judges[b.DomainID]
			if !known {
				return fmt.Errorf("samples of the domain %q came, which Open had not named", b.DomainID)
			}
			before := judge.enough()
			if failed = judge.batch(b); failed != nil {
				return failed
			}
			if !before && judge.enough() {
				if waiting--; waiting == 0 {
					cancel()
				}
			}
			return nil
		})
		switch {
		case failed != nil:
			return failed
		case waiting == 0:
			return nil
		case err != nil && streamCtx.Err() == nil:
			return err
		case streamCtx.Err() == nil:
			return errors.New("the stream ended before it was closed")
		}
		var late []string
		for id, judge := range judges {
			if !judge.enough() {
				late = append(late, id)
			}
		}
		slices.Sort(late)
		return fmt.Errorf("within %v the domains %q did not deliver %d batches with a sample", limit, late, wantedBatches)
	})
}

// streaming opens a stream, calls act once after its first batch, in a
// goroutine of its own, and returns how the stream ended.
func streaming(ctx context.Context, p *host.Plugin, act func()) error {
	var once sync.Once
	acted := make(chan struct{})
	err := p.Stream(ctx, func(sdk.SampleBatch) error {
		once.Do(func() {
			go func() {
				defer close(acted)
				act()
			}()
		})
		return nil
	})
	once.Do(func() { close(acted) })
	<-acted
	return err
}

func closes(ctx context.Context, s *suite) error {
	return s.opened(ctx, func(p *host.Plugin, domains []sdk.Domain) error {
		streamCtx, cancel := context.WithTimeout(ctx, patience(domains)+endLimit)
		defer cancel()
		var closing error
		var closed time.Time
		ended := streaming(streamCtx, p, func() {
			closed = time.Now()
			time.AfterFunc(endLimit, cancel)
			closeCtx, stop := context.WithTimeout(ctx, endLimit)
			defer stop()
			closing = p.Close(closeCtx)
		})
		switch {
		case closed.IsZero():
			return skip("no sample came that a Close could have ended: %v", ended)
		case ended != nil:
			return fmt.Errorf("the stream must end without an error within %v of Close; got: %w", endLimit, ended)
		case closing != nil:
			return closing
		}
		if err := p.Close(ctx); err != nil {
			return fmt.Errorf("a second Close: %w", err)
		}
		return nil
	})
}

func killedStreaming(ctx context.Context, s *suite) error {
	return s.opened(ctx, func(p *host.Plugin, domains []sdk.Domain) error {
		streamCtx, cancel := context.WithTimeout(ctx, patience(domains))
		defer cancel()
		var leavings error
		done := false
		ended := streaming(streamCtx, p, func() { leavings, done = killed(p), true })
		if !done {
			return skip("no sample came to kill the source at: %v", ended)
		}
		return leavings
	})
}
