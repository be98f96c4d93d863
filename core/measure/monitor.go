package measure

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// Monitor sees the state of devices beside their energy. A device that it does
// not see is not in its answers. The built-in nvml is one.
type Monitor interface {
	// Facts takes milliseconds.
	Facts() []device.Facts
	// Read looks at the named devices, or all for nil: microseconds each.
	Read(uuids []string) map[string]device.Reading
	// Snapshot takes tens of milliseconds each and belongs outside Runs.
	Snapshot(uuids []string) map[string]device.Snapshot
}

// watch is what is seen of devices and of the machine during one trial.
type watch struct {
	monitors []Monitor
	period   time.Duration
	limit    time.Duration
	// idle is how long is looked at devices before a load, and unloadedNs when the
	// trial before had ended.
	idle       time.Duration
	unloadedNs int64

	facts         map[string]device.Facts
	before, after map[string]device.Snapshot
	// clockNs is the monotonic clock less the wall clock when the trial began,
	// stepNs by how much it has moved since.
	clockNs int64
	stepNs  *int64
	// Processors' work at the Run's ends.
	busyBegin, busyEnd environ.Busy
	// edges are where a counter that is read in bursts is known best.
	edges [2]int64
	// ownPIDs are the deployment's processes at the Run's end.
	ownPIDs []int

	mu       sync.Mutex
	over     bool
	readings map[string][]device.Reading
	stop     context.CancelFunc
}

// lookLimit bounds a look at the devices: a driver that hangs must not hang the
// study. What did not come is not known. readPeriod is how often they are read in
// a Run.
const (
	lookLimit  = 20 * time.Second
	readPeriod = time.Second
)

// begin looks at everything before the load, when it is not known yet which
// devices it will use.
func (w *watch) begin(ctx context.Context, sources []openSource) {
	w.clockNs = wallToMono()
	for _, s := range sources {
		if s.Monitor != nil {
			w.monitors = append(w.monitors, s.Monitor)
		}
	}
	w.facts = look(ctx, w, func(m Monitor) map[string]device.Facts {
		facts := map[string]device.Facts{}
		for _, f := range m.Facts() {
			facts[f.UUID] = f
		}
		return facts
	})
	w.before = look(ctx, w, func(m Monitor) map[string]device.Snapshot { return m.Snapshot(nil) })
	w.watchIdle(ctx)
}

// look asks all monitors; the first one that sees a device counts.
func look[V any](ctx context.Context, w *watch, ask func(Monitor) map[string]V) map[string]V {
	all := map[string]V{}
	for _, m := range w.monitors {
		answer := make(chan map[string]V, 1)
		go func() { answer <- ask(m) }()
		limit := time.NewTimer(w.limit)
		select {
		case seen := <-answer:
			for id, v := range seen {
				if _, has := all[id]; !has {
					all[id] = v
				}
			}
		case <-limit.C:
		case <-ctx.Done():
		}
		limit.Stop()
	}
	return all
}

// runBegins starts to read the GPUs, on a goroutine of its own.
func (w *watch) runBegins(sources []openSource, gpus []string, report sdk.LoadReport) {
	w.busyBegin = environ.BusyNow(named(report)...)
	w.edges[0] = mark(sources)
	if len(w.monitors) == 0 || len(gpus) == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.readings = stop, map[string][]device.Reading{}
	tick := time.NewTicker(max(w.period, time.Millisecond))
	go func() {
		defer tick.Stop()
		for ctx.Err() == nil {
			w.read(gpus)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
}

func (w *watch) read(gpus []string) {
	for _, m := range w.monitors {
		seen := m.Read(gpus)
		w.mu.Lock()
		for id, r := range seen {
			if list := w.readings[id]; !w.over && (len(list) == 0 || r.MonoNs > list[len(list)-1].MonoNs) {
				w.readings[id] = append(list, r)
			}
		}
		w.mu.Unlock()
	}
}

// runEnds stops the readings and looks at everything again.
func (w *watch) runEnds(ctx context.Context, sources []openSource, gpus []string, report sdk.LoadReport) {
	w.edges[1] = mark(sources)
	if w.stop != nil {
		w.stop()
	}
	w.mu.Lock()
	w.over = true // one in flight comes too late
	w.mu.Unlock()
	w.busyEnd = environ.BusyNow(named(report)...)
	step := wallToMono() - w.clockNs
	w.stepNs = &step
	if len(w.monitors) == 0 || len(gpus) == 0 || ctx.Err() != nil {
		return
	}
	w.after = look(ctx, w, func(m Monitor) map[string]device.Snapshot { return m.Snapshot(gpus) })
	w.ownPIDs = ownProcesses(report)
}

// ownProcesses are this process, what it started, and what the backend names.
func ownProcesses(report sdk.LoadReport) []int {
	// What /proc hides cannot be ours to know.
	own, _ := environ.Descendants(append(named(report), os.Getpid())...)
	slices.Sort(own)
	return own
}

// named are the processes that the backend names: an attached server is none of those
// that this one started.
func named(report sdk.LoadReport) (pids []int) {
	for _, d := range report.Devices {
		if d.PID > 0 {
			pids = append(pids, int(d.PID))
		}
	}
	return pids
}

// mark asks sources that read in bursts for one now, and returns the stamp that
// they will resolve best.
func mark(sources []openSource) int64 {
	edge := sdk.MonoNow()
	for _, s := range sources {
		if s.Mark != nil {
			edge = max(edge, s.Mark())
		}
	}
	return edge
}

// devices is the record of the named GPUs that anything is known of.
func (w *watch) devices(gpus []string) []result.Device {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []result.Device
	for _, id := range gpus {
		facts, known := w.facts[id]
		d := result.Device{Facts: facts, Readings: result.NewReadings(w.readings[id])}
		d.Facts.UUID = id
		if s, ok := w.before[id]; ok {
			d.Before, known = &s, true
		}
		if s, ok := w.after[id]; ok {
			d.After, known = &s, true
		}
		if known {
			list = append(list, d)
		}
	}
	return list
}

// wallToMono is the monotonic clock less the wall clock in ns, from the narrowest
// of some bracketed pairs.
func wallToMono() int64 {
	best, narrowest := int64(0), int64(1<<62)
	for range 8 {
		before := sdk.MonoNow()
		wall := time.Now().UnixNano()
		if width := sdk.MonoNow() - before; width < narrowest {
			best, narrowest = before+width/2-wall, width
		}
	}
	return best
}
