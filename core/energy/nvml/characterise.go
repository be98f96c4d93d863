package nvml

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/llenergymeasure/llem/core/device"
)

// How long each sensor is looked at, 5 s in all for a GPU; a sensor that shows
// enoughChanges is done earlier.
const (
	lookRing      = 400 * time.Millisecond
	lookCounter   = 2100 * time.Millisecond
	lookField     = 1150 * time.Millisecond
	enoughChanges = 25
	lookPause     = time.Millisecond
)

// Characterise finds how the sensors of the visible GPUs behave: update period,
// resolution and cost of a call, with the ring's depth. It takes up to 5 s, all
// GPUs at once, and is meant to come before Open, which then uses the periods, and
// before any load, since it keeps the counter busy. What it found is in Facts.
//
// Results are kept as one JSON file a GPU and driver under dir ("" = not kept). A
// file that is damaged, or of another GPU, driver or form, is made anew. Only a
// library that does not load and the end of ctx are errors.
func (s *Source) Characterise(ctx context.Context, dir string) error {
	s.mu.Lock()
	err := s.ensure()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	gpus, end := s.begin()
	defer end()
	var all sync.WaitGroup
	for _, g := range gpus {
		all.Go(func() {
			facts := g.Facts()
			path := cachePath(dir, facts)
			sensors, ok := readCache(path, facts)
			if !ok {
				sensors = look(ctx, g, s.clock)
				if ctx.Err() != nil {
					return // half a look is none
				}
				if !lasting(sensors) {
					path = ""
				}
				if err := writeCache(path, facts, sensors); err != nil {
					s.events.add(Event{Code: EventCacheUnwritable, UUID: g.UUID(), MonoNs: s.clock.mono(), Message: err.Error()})
				}
			}
			s.mu.Lock()
			s.sensors[g.UUID()] = sensors
			s.mu.Unlock()
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("characterise the sensors: %w", err)
	}
	return nil
}

// lasting tells whether what was found may be kept: a sensor that failed, or may not be
// read, can be another time.
func lasting(sensors []device.Sensor) bool {
	return !slices.ContainsFunc(sensors, func(s device.Sensor) bool { return s.Error != "" && s.Error != absentReason(errAbsent) })
}

// look polls each sensor of one GPU.
func look(ctx context.Context, g gpu, clock clocks) []device.Sensor {
	var list []device.Sensor
	list = append(list, lookAtRing(ctx, g, clock))
	scope := "gpu"
	if counterKind(g) == "module" {
		scope = "module"
	}
	list = append(list, lookAt(ctx, clock, device.Sensor{Name: sensorCounter, Scope: scope}, lookCounter, g.EnergyMilliJ))
	for _, f := range []struct {
		name string
		id   uint32
	}{{sensorAverage, fieldPowerAverage}, {sensorInstant, fieldPowerInstant}} {
		sensor, id := device.Sensor{Name: f.name, Scope: "gpu"}, uint32(scopeGPU)
		if _, err := readField(g, f.id, scopeGPU); err != nil {
			if _, err := readField(g, f.id, scopeModule); err == nil {
				sensor.Scope, id = "module", scopeModule
			}
		}
		list = append(list, lookAt(ctx, clock, sensor, lookField, func() (uint64, error) { return readField(g, f.id, id) }))
	}
	return list
}

// lookAt polls a value as fast as the driver allows.
func lookAt(ctx context.Context, clock clocks, sensor device.Sensor, span time.Duration, read func() (uint64, error)) device.Sensor {
	begin := clock.mono()
	var latencies, gaps []int64
	var last uint64
	var lastChange int64
	for clock.mono()-begin < int64(span) && sensor.Changes < enoughChanges && pause(ctx) {
		before := clock.mono()
		value, err := read()
		after := clock.mono()
		if err != nil {
			sensor.Error = absentReason(err)
			return device.Sensor{Name: sensor.Name, Scope: sensor.Scope, Error: sensor.Error}
		}
		latencies = append(latencies, after-before)
		if len(latencies) > 1 && value != last {
			sensor.Changes++
			sensor.ResolutionCounts = gcd(sensor.ResolutionCounts, int64(max(value, last)-min(value, last)))
			at := before + (after-before)/2
			if lastChange > 0 {
				gaps = append(gaps, at-lastChange)
			}
			lastChange = at
		}
		last = value
	}
	sensor.UpdateNs = quantile(gaps, 0.5)
	return called(sensor, latencies)
}

// lookAtRing needs no waiting for changes: the ring holds seconds of them.
func lookAtRing(ctx context.Context, g gpu, clock clocks) device.Sensor {
	sensor := device.Sensor{Name: sensorRing, Scope: "gpu"}
	begin := clock.mono()
	var latencies []int64
	var samples []ringSample
	oldest, full := uint64(0), false
	for clock.mono()-begin < int64(lookRing) && pause(ctx) {
		before := clock.mono()
		list, err := g.PowerRing(0)
		if err != nil {
			return device.Sensor{Name: sensor.Name, Scope: sensor.Scope, Error: absentReason(err)}
		}
		latencies = append(latencies, clock.mono()-before)
		var bad refusals
		if list = bad.zeros(list); len(list) > len(samples) {
			samples = list
		}
		// Until the oldest entry goes, the ring is being filled by a driver that was
		// loaded a moment ago, and how deep it is does not show.
		for _, s := range list {
			if oldest == 0 || s.WallUs < oldest {
				oldest, full = s.WallUs, false
			}
		}
		full = full || len(list) > 0 && !slices.ContainsFunc(list, func(s ringSample) bool { return s.WallUs == oldest })
	}
	slices.SortFunc(samples, func(a, b ringSample) int { return int(int64(a.WallUs) - int64(b.WallUs)) })
	if full {
		sensor.Depth = len(samples)
	}
	var gaps []int64
	for i := 1; i < len(samples); i++ {
		a, b := samples[i-1], samples[i]
		if b.WallUs > a.WallUs {
			gaps = append(gaps, int64(b.WallUs-a.WallUs)*1000)
		}
		if a.MilliW != b.MilliW && a.MilliW != noMilliW && b.MilliW != noMilliW {
			sensor.Changes++
			sensor.ResolutionCounts = gcd(sensor.ResolutionCounts, int64(max(a.MilliW, b.MilliW)-min(a.MilliW, b.MilliW)))
		}
	}
	sensor.UpdateNs = quantile(gaps, 0.5)
	return called(sensor, latencies)
}

func called(sensor device.Sensor, latencies []int64) device.Sensor {
	sensor.Calls = len(latencies)
	sensor.CallP50Ns, sensor.CallP99Ns = quantile(latencies, 0.5), quantile(latencies, 0.99)
	return sensor
}

// pause lets others use the driver between two calls; false when ctx has ended.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(lookPause):
		return true
	}
}

// quantile is the value at rank q, or 0 of nothing. It sorts list.
func quantile(list []int64, q float64) int64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(len(list)-1, int(q*float64(len(list))))]
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}

// cacheForm rises when the meaning of a cached file changes.
const cacheForm = 2

type cacheFile struct {
	Form    int             `json:"form"`
	UUID    string          `json:"uuid"`
	Driver  string          `json:"driver"`
	Sensors []device.Sensor `json:"sensors"`
}

func cachePath(dir string, f device.Facts) string {
	if dir == "" || f.UUID == "" || f.Driver == "" {
		return ""
	}
	clean := strings.NewReplacer("/", "_", "\\", "_").Replace(f.UUID + "-" + f.Driver)
	return filepath.Join(dir, "nvml-"+clean+".json")
}

func readCache(path string, f device.Facts) ([]device.Sensor, bool) {
	if path == "" {
		return nil, false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	var c cacheFile
	if json.Unmarshal(text, &c) != nil || c.Form != cacheForm || c.UUID != f.UUID || c.Driver != f.Driver || len(c.Sensors) == 0 {
		return nil, false
	}
	for _, s := range c.Sensors {
		if s.UpdateNs < 0 || s.Depth < 0 {
			return nil, false
		}
	}
	return c.Sensors, true
}

func writeCache(path string, f device.Facts, sensors []device.Sensor) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(cacheFile{Form: cacheForm, UUID: f.UUID, Driver: f.Driver, Sensors: sensors}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the characterisation of %s: %w", f.UUID, err)
	}
	err = os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = renameio.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("keep the characterisation of %s: %w; it is made anew each time", f.UUID, err)
	}
	return nil
}
