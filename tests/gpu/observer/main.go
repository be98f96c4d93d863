// Command observer asks what llem's NVML source costs the load that it watches: a
// steady CUDA load (`python3 WORKER`, the worker of torchload) runs without a pause,
// llem's source streams in half of its stretches, and joules per pass are compared
// by the energy counter, which counts whether anybody looks or not.
//
//	observer WORKER [QUADS] [SECONDS] [SEED]
//
// plan.go says in which order the stretches come, stretch.go takes them, and
// effect.go says what they show. What made an earlier figure coarse, and is mended
// by design:
//
//   - Passes of two kinds of work have two powers, so that a stretch cut inside a pass
//     was off by up to a seventh of a pass. All of a pass is one kind of work here.
//   - The source reads the energy counter every 10 s. Stretches of 8 s held none or
//     one of these reads; a multiple of 10 s holds as many each time.
//   - A card warms up for minutes. Now nothing pauses between stretches, the first
//     quad is thrown away by plan, and a quad (ABBA or BAAB, drawn) cancels a drift.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	llemnvml "github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/sdk"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "observer:", err)
		os.Exit(1)
	}
}

// settings of a run: 6 quads of 10 s, and the one thrown away, are 5.5 minutes.
type settings struct {
	worker string
	quads  int
	length time.Duration
	seed   uint64
}

func parse(args []string) (settings, error) {
	s := settings{quads: 6, length: counterPeriod, seed: 1}
	if len(args) < 1 || len(args) > 4 {
		return s, errors.New("usage: observer WORKER [QUADS] [SECONDS] [SEED]")
	}
	s.worker = args[0]
	numbers := []int{s.quads, int(s.length / time.Second), int(s.seed)}
	for i, text := range args[1:] {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return s, fmt.Errorf("%q is no number above 0; usage: observer WORKER [QUADS] [SECONDS] [SEED]", text)
		}
		numbers[i] = n
	}
	s.quads, s.length, s.seed = numbers[0], time.Duration(numbers[1])*time.Second, uint64(numbers[2])
	if s.quads < 2 {
		return s, errors.New("one quad gives no interval: ask for 2 or more")
	}
	if s.length%counterPeriod != 0 {
		return s, fmt.Errorf("stretches of %v hold now more and now fewer of the counter's reads, one in %v: ask for a multiple of it", s.length, counterPeriod)
	}
	return s, nil
}

func run(args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	load, err := start(s.worker)
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
	bench := rig{
		now:  sdk.MonoNow,
		pass: load.pass,
		milliJ: func() (uint64, error) {
			value, r := gpu.GetTotalEnergyConsumption()
			if r != nvml.SUCCESS {
				return 0, fmt.Errorf("read the energy counter: %v", lib.ErrorString(r))
			}
			return value, nil
		},
		celsius: func() int {
			value, r := gpu.GetTemperature(nvml.TEMPERATURE_GPU)
			if r != nvml.SUCCESS {
				return -1
			}
			return int(value)
		},
		watch: watch,
	}
	quads := order(s.quads, s.seed)
	fmt.Printf("GPU %s, %d quads of stretches of %v, seed %d; the first quad is thrown away by plan\n", load.uuid, len(quads), s.length, s.seed)
	taken, err := bench.take(quads, s.length, os.Stdout)
	if err != nil {
		return err
	}
	return tell(os.Stdout, taken[1:])
}

// watch streams all that the source reads, as a study does, and looks at the device
// once a second.
func watch() (end func() error, err error) {
	source := llemnvml.New()
	if _, err := source.Open(context.Background(), sdk.OpenRequest{}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	streamed := make(chan error, 1)
	go func() {
		streamed <- source.Stream(ctx, func(sdk.SampleBatch) error { return nil })
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
	return func() error {
		cancel()
		err := <-streamed
		for _, e := range source.Events(0) {
			fmt.Printf("event %s: %s\n", e.Code, e.Message)
		}
		return errors.Join(err, source.Close(context.Background()))
	}, nil
}
