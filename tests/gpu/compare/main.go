// Command compare sets what llem measured on a real GPU beside what Zeus did, over
// the very same windows: the passes that torchload logged while a study ran.
//
//	compare RESULT_DIR ZEUS_LOG
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

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: compare RESULT_DIR ZEUS_LOG")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(dir, log string) error {
	passes, err := readLog(log)
	if err != nil {
		return err
	}
	trials, _, problems := result.ReadTrials(dir)
	if len(problems) > 0 {
		return problems[0]
	}
	zeus, ring, counter := series{name: "Zeus"}, series{name: "llem, sample ring"}, series{name: "llem, counter between its changes"}
	var lengths []float64
	for _, t := range trials {
		traces, err := result.ReadPower(filepath.Join(dir, t.Dir))
		if err != nil {
			return err
		}
		for _, p := range passes {
			if t.Conditioning == nil || t.Run == nil || p.BeginNs < t.Conditioning.ToNs || p.EndNs > t.Run.EndNs {
				continue
			}
			lengths = append(lengths, float64(p.EndNs-p.BeginNs)/1e9)
			zeus.joules = append(zeus.joules, p.ZeusJ)
			for id, trace := range traces {
				w, err := trace.Window(p.BeginNs, p.EndNs)
				switch {
				case err != nil:
					fmt.Fprintf(os.Stderr, "%s: %v\n", id, err)
				case trace.Domain.Kind != energy.KindGPU:
				case strings.HasSuffix(id, "/counter"):
					counter.joules = append(counter.joules, w.EnergyJ)
				default:
					ring.joules = append(ring.joules, w.EnergyJ)
				}
			}
		}
	}
	if len(lengths) == 0 {
		return fmt.Errorf("no pass of %s lies in a window of %s", log, dir)
	}
	fmt.Printf("%d passes of %.3f s (CV of their time %.3f %%)\n", len(lengths), stats.Mean(lengths), 100*cv(lengths))
	for _, s := range []series{zeus, ring, counter} {
		if len(s.joules) != len(lengths) {
			fmt.Printf("%-36s %d of %d passes have joules\n", s.name, len(s.joules), len(lengths))
			continue
		}
		worst := 0.0
		ratios := make([]float64, len(lengths))
		for i, j := range s.joules {
			ratios[i] = j / zeus.joules[i]
			if math.Abs(ratios[i]-1) > math.Abs(worst-1) || worst == 0 {
				worst = ratios[i]
			}
		}
		fmt.Printf("%-36s mean %10.3f J  CV %6.3f %%  over Zeus: mean %.5f, worst %.5f\n", s.name, stats.Mean(s.joules), 100*cv(s.joules), stats.Mean(ratios), worst)
	}
	return nil
}

func cv(v []float64) float64 { return stats.StdDev(v) / stats.Mean(v) }

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
