// Package nvml is the built-in energy source for NVIDIA GPUs.
//
// For each GPU it drains the driver's ring of total power samples (about 50 Hz,
// 2.4 s deep) once a second, and reads beside it the hardware energy counter in
// bursts around marks and every 10 s. The ring resolves short windows, the
// counter is the check on it; both sit behind one sensor, so their agreement
// proves the sampling and not the gain. Where the driver has no ring, the counter
// is read ten times a second instead; domains.go has the rest of the order.
//
//	gpu.go            what is needed of the driver; driver_cgo.go gives it
//	visible.go        which GPUs are opened
//	domains.go        what each can report
//	ring.go counter.go field.go    one sensor each
//	timing.go clock.go    what the ring's stamps mean, and when they lie
//	stream.go         runs the sensors
//	events.go         what a result should tell about them
//	telemetry.go      facts, readings and snapshots of the devices
//	characterise.go   how the sensors behave here
//
// The library is loaded on Open and not before: a machine without a driver
// pays nothing and sees a clear error.
//
// NVML may be called from many threads. Every sensor of every GPU has a goroutine
// of its own and telemetry runs on its caller's, so a drain never waits in this
// package behind a slow call such as a process list (40 ms); what waiting there is
// inside the driver is far below the 2.4 s that the ring holds.
package nvml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/sdk"
)

// Name is how studies name this source.
const Name = "nvml"

// Source reads NVIDIA GPUs. Make one with New. Methods are safe for use by
// several goroutines.
type Source struct {
	load   library
	getenv func(string) (string, bool)
	clock  clocks
	events eventLog

	mu      sync.Mutex
	driver  *driver // nil before it is loaded and after Close
	chosen  []gpu   // the visible ones
	readers []*reader
	sensors map[string][]device.Sensor // by UUID, as characterised
	stop    context.CancelFunc         // of the stream
	calls   sync.WaitGroup             // NVML must not be unloaded under them
}

// New returns a source that has touched nothing yet.
func New() *Source {
	return &Source{load: loadLibrary, getenv: os.LookupEnv, clock: systemClocks(), sensors: map[string][]device.Sensor{}}
}

const phaseOpen = "open nvml"

// Open loads NVML and finds what each visible GPU can report. A visible GPU that
// reports nothing is an event, or the error if it is so with all.
func (s *Source) Open(ctx context.Context, _ sdk.OpenRequest) ([]sdk.Domain, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers != nil {
		return nil, &sdk.Error{Code: sdk.CallOrder, Phase: phaseOpen, Message: "it is open already"}
	}
	if err := s.ensure(); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // the domains then name no host
	}
	var domains []sdk.Domain
	var refused []error
	for _, g := range s.chosen {
		r, err := probe(ctx, g, host, s.sensors[g.UUID()], s.clock, &s.events)
		if err != nil {
			refused = append(refused, err)
			s.events.add(Event{Code: EventGPUUnreadable, UUID: g.UUID(), Message: err.Error(), MonoNs: s.clock.mono()})
			continue
		}
		s.readers = append(s.readers, r)
		domains = append(domains, r.domains...)
	}
	if len(domains) > 0 {
		return domains, nil
	}
	s.unload()
	all := errors.Join(refused...)
	if errors.Is(all, errPermission) {
		return nil, &sdk.Error{Code: sdk.Permission, Phase: phaseOpen, Message: all.Error(), Advice: "let this user open /dev/nvidia*, or in a container start it with the GPU's utility capability"}
	}
	return nil, &sdk.Error{Code: sdk.DeviceMissing, Phase: phaseOpen, Message: all.Error(), Advice: "compare with `nvidia-smi -q -d POWER`; a driver older than 418 reports no energy: upgrade it"}
}

// ensure loads the library and picks the visible GPUs. s.mu is held.
func (s *Source) ensure() error {
	if s.driver != nil {
		return nil
	}
	d, err := s.load()
	if err != nil {
		return err
	}
	s.driver = &d
	s.chosen = nil
	if len(d.cards) == 0 {
		s.unload()
		return &sdk.Error{Code: sdk.DeviceMissing, Phase: phaseOpen, Message: "NVML lists no GPU", Advice: "compare with `nvidia-smi`"}
	}
	value, set := s.getenv("CUDA_VISIBLE_DEVICES")
	var uuids []string
	for _, c := range d.cards {
		uuids = append(uuids, c.UUID)
	}
	if set {
		var note string
		if uuids, note = sdk.VisibleGPUs(value, installed(d.cards)); note != "" {
			s.events.add(Event{Code: EventVisibleDevices, Message: note, MonoNs: s.clock.mono()})
		}
		order, _ := s.getenv("CUDA_DEVICE_ORDER")
		if order != "PCI_BUS_ID" && namesIndex(value) && slices.ContainsFunc(d.cards, func(c card) bool { return c.Model != d.cards[0].Model }) {
			s.events.add(Event{Code: EventVisibleDevices, MonoNs: s.clock.mono(),
				Message: fmt.Sprintf("CUDA_VISIBLE_DEVICES=%q counts unlike GPUs, which CUDA sorts by speed and llem by bus: set CUDA_DEVICE_ORDER=PCI_BUS_ID or name UUIDs", value)})
		}
		if len(uuids) == 0 {
			s.unload()
			return &sdk.Error{Code: sdk.DeviceMissing, Phase: phaseOpen,
				Message: strings.TrimPrefix(note+fmt.Sprintf("; CUDA_VISIBLE_DEVICES=%q leaves none of %d GPUs visible", value, len(d.cards)), "; "),
				Advice:  "set it to the GPUs to measure, or unset it"}
		}
	}
	for _, c := range d.cards {
		if slices.Contains(uuids, c.UUID) {
			s.chosen = append(s.chosen, c.gpu)
		}
	}
	return nil
}

// Mark asks for dense reads of the energy counters from now on, until the changes
// around edgeNs are seen (0.25 to 0.45 s with the usual counter), and returns at
// once. edgeNs is the stamp soon after it (0.15 s) that the burst resolves best: a span that the counter is to be
// judged over, such as the audit of a trial, should begin and end at such stamps.
// Call it at a Run's begin and end, or a little ahead of an edge that is known
// before. Edges elsewhere lie between reads up to 10 s apart, and energy.Window
// says so. Where no GPU has a ring the counters are read ten times a second
// anyway, and edgeNs is now.
func (s *Source) Mark() (edgeNs int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.mono()
	edgeNs = now
	for _, r := range s.readers {
		if c := r.counter; c != nil && !c.dense {
			c.mark()
			edgeNs = max(edgeNs, now+c.edgeAfterNs())
		}
	}
	return edgeNs
}

// Events lists what was noticed at or after sinceNs, oldest first.
func (s *Source) Events(sinceNs int64) []Event { return s.events.since(sinceNs) }

// Close ends the stream, waits for the calls in flight and unloads NVML. If they
// do not end before ctx does, the library stays loaded: to unload it under a call
// would end the process.
func (s *Source) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.stop != nil {
		s.stop()
	}
	d := s.driver
	s.driver, s.readers, s.chosen, s.stop = nil, nil, nil, nil
	s.mu.Unlock()
	if d == nil {
		return nil
	}
	idle := make(chan struct{})
	go func() {
		s.calls.Wait()
		if d.shutdown != nil {
			d.shutdown()
		}
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close nvml: a call into the driver does not return: %w", ctx.Err())
	}
}

// unload undoes ensure. s.mu is held, so no call begins.
func (s *Source) unload() {
	s.calls.Wait()
	if s.driver != nil && s.driver.shutdown != nil {
		s.driver.shutdown()
	}
	s.driver, s.readers, s.chosen = nil, nil, nil
}
