package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

const (
	beginNs  = int64(1e15) // a machine that has been up for days
	periodNs = int64(20e6)
)

// step is one sample of the real ring: what it read, and the time since the one
// before.
type step struct{ waitNs, value int64 }

// ring reads the recording; holes between its parts are left out.
func ring() ([]step, error) {
	const path = "core/energy/testdata/h100/samples.csv"
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; run this from the root of the repository", err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var steps []step
	before := int64(0)
	for _, row := range rows {
		us, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		value, err := strconv.ParseInt(row[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if wait := (us - before) * 1000; wait > 0 && wait < 100e6 {
			steps = append(steps, step{wait, value})
		}
		before = us
	}
	if len(steps) < 1000 {
		return nil, fmt.Errorf("%s has only %d samples in a row", path, len(steps))
	}
	// What the holes and the odd late sample took is given back: 50 Hz.
	sum := int64(0)
	for _, s := range steps {
		sum += s.waitNs
	}
	mean := sum / int64(len(steps))
	for i := range steps {
		steps[i].waitNs = steps[i].waitNs * periodNs / mean
	}
	return steps, nil
}

// gpu draws the samples of one GPU.
type gpu struct {
	domain energy.Domain
	steps  []step
	at     int
	ns     int64
	random *rand.Rand
}

func newGPU(steps []step, i int) *gpu {
	id := fmt.Sprintf("nvml/GPU-%d", i)
	return &gpu{
		domain: energy.Domain{
			ID: id, Kind: energy.KindGPU, DeviceIDs: []string{id}, Reading: energy.ReadingIntervalMean,
			UpdateNs: periodNs, UnitNum: 1, UnitDen: 1000, Source: "nvml", Accuracy: energy.Accuracy{GainRel: 0.05},
		},
		steps: steps, at: i * len(steps) / 8, ns: beginNs, random: rand.New(rand.NewPCG(uint64(i), 7)),
	}
}

// next has a stamp of any nanosecond, as a mapped clock gives it, and 0.1 % of
// noise on the value.
func (g *gpu) next() energy.Sample {
	s := g.steps[g.at%len(g.steps)]
	g.at++
	g.ns += s.waitNs + g.random.Int64N(1000)
	return energy.Sample{MonoNs: g.ns, Value: s.value + int64(g.random.NormFloat64()*float64(s.value)/1000)}
}

func write(dir string, hours float64, gpus int) (f figures, err error) {
	steps, err := ring()
	if err != nil {
		return f, err
	}
	w, err := result.CreatePower(dir)
	if err != nil {
		return f, err
	}
	var all []*gpu
	for i := range gpus {
		all = append(all, newGPU(steps, i))
	}
	endNs := beginNs + int64(hours*3600e9)
	for now := beginNs; now < endNs; { // drained every second
		if now += 1e9; f.EarlyMB == 0 && now-beginNs > (endNs-beginNs)/10 {
			if f.EarlyMB, err = resident("VmRSS"); err != nil {
				return f, err
			}
		}
		for _, g := range all {
			for g.ns < now {
				if err := w.Add(g.domain.ID, g.next()); err != nil {
					return f, err
				}
				f.Samples++
			}
		}
	}
	var domains []energy.Stored
	for _, g := range all {
		domains = append(domains, energy.Stored{Domain: g.domain, PeriodNs: g.domain.UpdateNs, CompleteUntilNs: g.ns})
	}
	if err := w.Close(domains); err != nil {
		return f, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil {
		return f, err
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return f, err
		}
		f.Bytes += info.Size()
	}
	return f, nil
}

// read computes a minute in the middle.
func read(dir string, hours float64) (f figures, err error) {
	from := beginNs + int64(hours*1800e9)
	traces, err := result.ReadPowerBetween(dir, from, from+60e9)
	if err != nil {
		return f, err
	}
	for _, t := range traces {
		w, err := t.Window(from, from+60e9)
		if err != nil {
			return f, err
		}
		f.Samples += int64(w.Samples)
		f.Joules += w.EnergyJ
	}
	return f, nil
}

// resident reads a line of this process's memory, in MB.
func resident(key string) (float64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			kB, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kB * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no line %s", key)
}
