// Command compare sets what llem measured on a real GPU beside what Zeus did, over
// the very same windows: the passes that torchload logged while a study ran.
//
//	go run ./tests/gpu/compare RESULT_DIR ZEUS_LOG
//
// It prints, for all passes inside the recordings, the ratio of the two and the
// coefficient of variation of each.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// logged is one pass as Zeus saw it.
type logged struct {
	BeginNs int64   `json:"begin_ns"`
	EndNs   int64   `json:"end_ns"`
	ZeusJ   float64 `json:"zeus_j"`
}

// series are the joules of the same passes by one tool.
type series struct {
	name   string
	joules []float64
}

// compared is what both tools say of the same passes.
type compared struct {
	seconds             []float64 // of each pass
	zeus, ring, counter series
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: compare RESULT_DIR ZEUS_LOG")
		os.Exit(2)
	}
	c, err := compare(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	c.print()
}

// compare finds the logged passes within the recordings of a result directory.
func compare(dir, log string) (compared, error) {
	c := compared{zeus: series{name: "Zeus"}, ring: series{name: "llem, sample ring"}, counter: series{name: "llem, counter between its changes"}}
	passes, err := readLog(log)
	if err != nil {
		return c, err
	}
	trials, _, problems := result.ReadTrials(dir)
	if len(problems) > 0 {
		return c, problems[0]
	}
	for _, t := range trials {
		traces, err := result.ReadPower(filepath.Join(dir, t.Dir))
		if err != nil {
			return c, err
		}
		for _, p := range passes {
			if t.Conditioning == nil || t.Run == nil || p.BeginNs < t.Conditioning.ToNs || p.EndNs > t.Run.EndNs {
				continue
			}
			c.seconds = append(c.seconds, float64(p.EndNs-p.BeginNs)/1e9)
			c.zeus.joules = append(c.zeus.joules, p.ZeusJ)
			for id, trace := range traces {
				w, err := trace.Window(p.BeginNs, p.EndNs)
				switch {
				case err != nil:
					fmt.Fprintf(os.Stderr, "%s: %v\n", id, err)
				case trace.Domain.Kind != energy.KindGPU:
				case strings.HasSuffix(id, "/counter"):
					c.counter.joules = append(c.counter.joules, w.EnergyJ)
				default:
					c.ring.joules = append(c.ring.joules, w.EnergyJ)
				}
			}
		}
	}
	if len(c.seconds) == 0 {
		return c, fmt.Errorf("no pass of %s lies in a window of %s", log, dir)
	}
	return c, nil
}

func (c compared) print() {
	fmt.Printf("%d passes of %.3f s (CV of their time %.3f %%)\n", len(c.seconds), stats.Mean(c.seconds), 100*stats.CV(c.seconds))
	for _, s := range []series{c.zeus, c.ring, c.counter} {
		if len(s.joules) != len(c.seconds) {
			fmt.Printf("%-36s %d of %d passes have joules\n", s.name, len(s.joules), len(c.seconds))
			continue
		}
		mean, worst := s.over(c.zeus)
		fmt.Printf("%-36s mean %10.3f J  CV %6.3f %%  over Zeus: mean %.5f, worst %.5f\n", s.name, stats.Mean(s.joules), 100*stats.CV(s.joules), mean, worst)
	}
}

// over is the mean of the passes' ratios to those of another tool, and the one that
// is farthest from 1.
func (s series) over(other series) (mean, worst float64) {
	worst = 1
	ratios := make([]float64, len(s.joules))
	for i, j := range s.joules {
		ratios[i] = j / other.joules[i]
		if math.Abs(ratios[i]-1) > math.Abs(worst-1) {
			worst = ratios[i]
		}
	}
	return stats.Mean(ratios), worst
}

func readLog(path string) ([]logged, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var passes []logged
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var p logged
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		passes = append(passes, p)
	}
	return passes, nil
}
