package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// Sensor is an energy source that is ready to be opened: a plugin's process or
// one that is built in.
type Sensor interface {
	Open(ctx context.Context, req sdk.OpenRequest) ([]sdk.Domain, error)
	Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error
	Close(ctx context.Context) error
}

// Source is a started Sensor and what the result says about it.
type Source struct {
	Name    string
	Plugin  result.Plugin // empty for one built in
	Request sdk.OpenRequest
	Sensor  Sensor
	// Kill ends the process behind the sensor; nil for one built in.
	Kill func()

	// Monitor sees the state of the devices; nil for a source that does not.
	Monitor Monitor
	// Mark asks a sensor that is read in bursts for one now, at an end of a Run,
	// and returns at once with the stamp that will be known best; may be nil.
	Mark func() (edgeNs int64)
	// Said is what the source says of what it opened; may be nil.
	Said func() []sdk.Warning
	// Notes are what the source noticed since a stamp; may be nil.
	Notes func(sinceNs int64) []energy.Warning
}

// ErrNotInstalled is an Opener's answer to the name of a source that is
// neither built in nor installed.
var ErrNotInstalled = errors.New("not installed")

// Names of the sources that "auto" tries.
const (
	autoSource      = "auto"
	nvmlSource      = "nvml"
	raplSource      = "rapl"
	estimatedSource = "hostpower"
)

// AutoSources lists what "auto" may come to, in the order in which it is tried.
func AutoSources() []string { return []string{nvmlSource, raplSource, estimatedSource} }

// recorder keeps the recordings of all sources of one block.
type recorder struct {
	sources []openSource
	cancel  context.CancelFunc
	streams sync.WaitGroup

	// standstill bounds the time without progress of a watermark; 0 = the usual.
	standstill time.Duration

	noted int64 // when the sources' notes were last taken

	mu     sync.Mutex
	failed map[string]error // by source name, once its stream has ended early
}

type openSource struct {
	Source
	why     string
	said    []energy.Warning
	domains []energy.Domain
	feeds   map[string]*feed // by the source's own domain id
}

// openSources starts and opens the named sources and begins to record. "auto"
// comes last, wherever it is named, since it depends on what the others measure;
// a source that is named twice is opened once.
func openSources(ctx context.Context, opener Opener, names []string, usesGPU bool) (*recorder, error) {
	r := &recorder{failed: map[string]error{}}
	var err error
	for _, name := range names {
		if name == autoSource || r.has(name) {
			continue
		}
		if err = r.open(ctx, opener, name, "named by the study"); err != nil {
			break
		}
	}
	if err == nil && slices.Contains(names, autoSource) {
		err = r.openAuto(ctx, opener, usesGPU)
	}
	if err != nil {
		r.close(ctx)
		return nil, err
	}
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	for i := range r.sources {
		source := &r.sources[i]
		for _, f := range source.feeds {
			f.mark.begin(sdk.MonoNow())
		}
		r.streams.Go(func() { r.record(streamCtx, source) })
	}
	return r, nil
}

func (r *recorder) has(name string) bool {
	return slices.ContainsFunc(r.sources, func(s openSource) bool { return s.Name == name })
}

// measures tells whether any open source reads more than a model.
func (r *recorder) measures() bool {
	return slices.ContainsFunc(r.domains(), func(d energy.Domain) bool { return !d.Estimated })
}

// openAuto opens nvml if a cell uses a GPU, rapl if it can be read, and the
// estimate only when nothing measures. What was tried in vain is told in the
// reason of each source that was chosen instead or beside it.
func (r *recorder) openAuto(ctx context.Context, opener Opener, usesGPU bool) error {
	first := len(r.sources)
	var refusals []string
	try := func(name, why string) {
		if r.has(name) {
			return
		}
		switch err := r.open(ctx, opener, name, why); {
		case errors.Is(err, ErrNotInstalled):
			// Nobody asked for it by name: where it was looked for is no matter.
			refusals = append(refusals, fmt.Sprintf("energy source %s: %v", name, ErrNotInstalled))
		case err != nil:
			refusals = append(refusals, err.Error())
		}
	}
	if usesGPU {
		try(nvmlSource, "auto: the study uses a GPU")
	}
	try(raplSource, "auto: its counters can be read")
	if !r.measures() {
		try(estimatedSource, "auto: nothing measures here")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(r.sources) == 0 {
		return fmt.Errorf("open energy sources: %s; install a source (`llem plugins list` shows what there is) or name one in `energy`", strings.Join(refusals, "; "))
	}
	for i := min(first, len(r.sources)-1); i < len(r.sources) && len(refusals) > 0; i++ {
		r.sources[i].why += "; not opened: " + strings.Join(refusals, "; ")
	}
	return nil
}

func (r *recorder) open(ctx context.Context, opener Opener, name, why string) error {
	source, err := opener.Source(ctx, name)
	if err != nil {
		return fmt.Errorf("energy source %s: %w", name, err)
	}
	opened := openSource{Source: source, why: why, feeds: map[string]*feed{}}
	abandon := func(err error) error {
		if source.Kill != nil {
			source.Kill()
		}
		return fmt.Errorf("energy source %s: %w", name, err)
	}
	domains, err := source.Sensor.Open(ctx, source.Request)
	if err != nil {
		return abandon(err)
	}
	if len(domains) == 0 {
		return abandon(errors.New("it opened and has no domain"))
	}
	for _, d := range domains {
		domain, err := energyDomain(name, d)
		if err != nil {
			return abandon(err)
		}
		builder, err := energy.NewBuilder(domain)
		if err != nil {
			return abandon(err)
		}
		if opened.feeds[d.ID] != nil {
			return abandon(fmt.Errorf("two domains are called %q", d.ID))
		}
		opened.feeds[d.ID] = &feed{domain: domain, builder: builder, flood: newFloodGauge(domain.UpdateNs)}
		opened.domains = append(opened.domains, domain)
	}
	if source.Said != nil {
		for _, w := range source.Said() {
			opened.said = append(opened.said, energy.Warning{
				Code: w.Code, Severity: energy.SeverityWarning, Message: fmt.Sprintf("energy source %s: %s", name, w.Message),
			})
		}
	}
	r.sources = append(r.sources, opened)
	return nil
}

// energyDomain translates a domain of the contract. Ids get the source's name
// in front, since two sources may use the same.
func energyDomain(source string, d sdk.Domain) (energy.Domain, error) {
	counter := d.Reading == sdk.ReadingCounter
	if counter != (d.Unit == sdk.UnitJoule) {
		return energy.Domain{}, fmt.Errorf("domain %q: reading %s and unit %s do not go together", d.ID, d.Reading, d.Unit)
	}
	domain := energy.Domain{
		ID: source + "/" + d.ID, Kind: string(d.Kind), DeviceIDs: d.DeviceIDs,
		Reading: energy.Reading(d.Reading), AveragingNs: d.AveragingNs,
		LagNs: d.LagNs, LagSpreadNs: d.LagSpreadNs, UpdateNs: d.UpdatePeriodNs,
		UnitNum: d.UnitNumerator, UnitDen: d.UnitDenominator,
		ChangesOnly: d.ChangesOnly, Estimated: d.Estimated, Host: d.Host, Source: source, FirstSampleNs: d.FirstSampleNs,
		Doc: d.Doc, MostPowerW: d.MostPowerW,
	}
	if d.ContainedIn != "" {
		domain.ContainedIn = source + "/" + d.ContainedIn
	}
	if d.Accuracy.GainRel != nil {
		domain.Accuracy.GainRel = *d.Accuracy.GainRel
	}
	if d.Accuracy.OffsetW != nil {
		domain.Accuracy.OffsetW = *d.Accuracy.OffsetW
	}
	if d.Accuracy.Confidence != nil {
		domain.Accuracy.Confidence = *d.Accuracy.Confidence
	}
	return domain, nil
}

// domains lists all domains of all sources.
func (r *recorder) domains() []energy.Domain {
	var all []energy.Domain
	for _, s := range r.sources {
		all = append(all, s.domains...)
	}
	return all
}

// describe lists the sources for a trial's record.
func (r *recorder) describe() []result.Source {
	var list []result.Source
	for _, s := range r.sources {
		list = append(list, result.Source{Name: s.Name, Plugin: s.Plugin, Domains: s.domains, Why: s.why, Warnings: s.said})
	}
	return list
}

// said lists what the sources said of themselves, for a trial's warnings.
func (r *recorder) said() []energy.Warning {
	var list []energy.Warning
	for _, s := range r.sources {
		list = append(list, s.said...)
	}
	return list
}

// closeLimit bounds the closing of one source, and the wait for all streams.
const closeLimit = 5 * time.Second

// close ends the streams and the processes behind them. A stream whose sensor
// hangs in its driver is left behind: nobody reads what it still delivers.
func (r *recorder) close(ctx context.Context) {
	if r.cancel != nil {
		r.cancel()
	}
	ended := make(chan struct{})
	go func() {
		r.streams.Wait()
		close(ended)
	}()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
	}
	for _, s := range r.sources {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		// A source that cannot be closed is killed below; its samples are
		// already in the trials' records.
		_ = s.Sensor.Close(closing)
		cancel()
		if s.Kill != nil {
			s.Kill()
		}
	}
}
