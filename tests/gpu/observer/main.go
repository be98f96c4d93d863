// Command observer asks what llem's NVML source costs the load that it watches: it
// runs a steady CUDA load (standard input and output of `python3 WORKER`, the
// worker of torchload) in stretches with the source streaming and stretches
// without, ABBA, and compares joules per pass by the energy counter, which counts
// whether anybody looks or not.
//
//	observer WORKER [PAIRS] [SECONDS]
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	llemnvml "github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/sdk"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: observer WORKER [PAIRS] [SECONDS]")
		os.Exit(2)
	}
	number := func(i, usual int) int {
		if len(os.Args) > i {
			if n, err := strconv.Atoi(os.Args[i]); err == nil && n > 0 {
				return n
			}
		}
		return usual
	}
	if err := run(os.Args[1], number(2, 6), time.Duration(number(3, 15))*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, "observer:", err)
		os.Exit(1)
	}
}

func run(worker string, pairs int, length time.Duration) error {
	load, err := start(worker)
	if err != nil {
		return err
	}
	defer load.end()
	lib := nvml.New()
	if r := lib.Init(); r != nvml.SUCCESS {
		return fmt.Errorf("NVML: %v", lib.ErrorString(r))
	}
	gpu, r := lib.DeviceGetHandleByUUID(load.uuid)
	if r != nvml.SUCCESS {
		return fmt.Errorf("GPU %s: %v", load.uuid, lib.ErrorString(r))
	}
	if _, err := stretch(load, gpu, 2*length); err != nil { // warm
		return err
	}
	var with, without []float64
	for i := range pairs {
		for _, watched := range [][]bool{{false, true}, {true, false}}[i%2] {
			end := func() {}
			if watched {
				if end, err = watch(); err != nil {
					return err
				}
			}
			perPass, err := stretch(load, gpu, length)
			end()
			if err != nil {
				return err
			}
			fmt.Printf("watched %-5v %.6f J/pass\n", watched, perPass)
			if watched {
				with = append(with, perPass)
			} else {
				without = append(without, perPass)
			}
		}
	}
	c, err := stats.ComparePaired(stats.Spec{Metric: "energy per pass", Unit: "J"}, without, with)
	if err != nil {
		return err
	}
	fmt.Printf("watched / not watched: %+.4f %% [%+.4f, %+.4f] over %d pairs of %v (CV %.4f %%)\n", 100*(c.Ratio-1), 100*(*c.Lo-1), 100*(*c.Hi-1), c.N, length, 100*stats.CV(without))
	return nil
}

// watch streams all that the source reads, as a study does, and looks at the
// device once a second.
func watch() (end func(), err error) {
	source := llemnvml.New()
	if _, err := source.Open(context.Background(), sdk.OpenRequest{}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = source.Stream(ctx, func(sdk.SampleBatch) error { return nil })
	}()
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				source.Read(nil)
			}
		}
	}()
	return func() {
		cancel()
		<-over
		_ = source.Close(context.Background())
	}, nil
}

// stretch runs passes for a time and returns joules per pass. Both ends lie on
// changes of the counter, between which the passes are counted to the fraction.
func stretch(l *load, gpu nvml.Device, length time.Duration) (float64, error) {
	type edge struct {
		at int64
		mj uint64
	}
	change := func() (edge, error) {
		last, r := gpu.GetTotalEnergyConsumption()
		for r == nvml.SUCCESS {
			value, ret := gpu.GetTotalEnergyConsumption()
			if r = ret; value != last {
				return edge{sdk.MonoNow(), value}, nil
			}
		}
		return edge{}, fmt.Errorf("read the energy counter: %v", r)
	}
	results := make(chan edge, 2)
	failed := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for _, wait := range []time.Duration{time.Second, length} {
			time.Sleep(wait)
			e, err := change()
			if err != nil {
				failed <- err
				break
			}
			results <- e
		}
		close(stop)
	}()
	var ends []int64
	for running := true; running; {
		end, err := l.pass()
		if err != nil {
			return 0, err
		}
		ends = append(ends, end)
		select {
		case <-stop:
			running = len(ends) < 2
		default:
		}
	}
	end, err := l.pass() // one more, so that the last edge lies between two ends
	if err != nil {
		return 0, err
	}
	ends = append(ends, end)
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	a, b := <-results, <-results
	passes := position(ends, b.at) - position(ends, a.at)
	if !(passes > 0) || math.IsInf(passes, 0) {
		return 0, fmt.Errorf("%v passes between the edges", passes)
	}
	return float64(b.mj-a.mj) / 1e3 / passes, nil
}

// position is how many passes had ended at a time, to the fraction.
func position(ends []int64, at int64) float64 {
	for i := 1; i < len(ends); i++ {
		if ends[i] >= at {
			return float64(i-1) + float64(at-ends[i-1])/float64(ends[i]-ends[i-1])
		}
	}
	return math.Inf(1)
}

// load is the worker process.
type load struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	uuid    string // of the GPU that it runs on
}

func start(worker string) (*load, error) {
	l := &load{process: exec.Command("python3", worker)}
	l.process.Stderr = os.Stderr
	var err error
	if l.in, err = l.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.out = json.NewDecoder(out)
	if err := l.process.Start(); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(l.in).Encode(map[string]any{"size": 8192, "decode_rows": 65536, "batch": 16, "zeus_log": ""}); err != nil {
		return nil, err
	}
	var ready struct{ UUID string }
	if err := l.out.Decode(&ready); err != nil {
		return nil, err
	}
	l.uuid = ready.UUID
	return l, nil
}

func (l *load) pass() (endNs int64, err error) {
	if err := json.NewEncoder(l.in).Encode(map[string]int{"prefill": 50, "decode": 200}); err != nil {
		return 0, err
	}
	var a struct{ End int64 }
	err = l.out.Decode(&a)
	return a.End, err
}

func (l *load) end() {
	_ = l.in.Close()
	_ = l.process.Wait()
}
