package main

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// each works out n results on all cores. Result i depends on seed and i only, so
// that neither the number of cores nor their speed changes a figure.
func each[R any](n int, seed uint64, one func(r *rand.Rand, i int) (R, error)) ([]R, error) {
	out, errs := make([]R, n), make([]error, n)
	var next atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				out[i], errs[i] = one(rand.New(rand.NewPCG(seed, uint64(i))), i)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// meanAndSD of many values.
func meanAndSD(x []float64) (mean, sd float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		sd += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, math.Sqrt(sd)
}
