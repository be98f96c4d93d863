package main

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

func TestReadUsage(t *testing.T) {
	u, err := readUsage(filepath.Join("testdata", "server"))
	if err != nil {
		t.Fatal(err)
	}
	if u.cpus != 4 || u.restTicks != 4*4000+4*20+3 {
		t.Errorf("got %+v", u)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		code  sdk.Code
		words string
	}{
		"nothing":       {nil, sdk.DeviceMissing, "cpuinfo: no such file"},
		"no stat":       {map[string]string{"cpuinfo": ""}, sdk.DeviceMissing, "stat: no such file"},
		"empty stat":    {map[string]string{"cpuinfo": "", "stat": ""}, sdk.Internal, "has no idle time"},
		"other text":    {map[string]string{"cpuinfo": "", "stat": "intr 1 2 3 4 5 6 7 8\n"}, sdk.Internal, "has no idle time"},
		"garbled":       {map[string]string{"cpuinfo": "", "stat": "cpu 1 2 3 x 5 6 7 8\ncpu0 1\n"}, sdk.Internal, "column 4"},
		"no single CPU": {map[string]string{"cpuinfo": "", "stat": "cpu 1 2 3 4 5 6 7 8\n"}, sdk.Internal, "no line of a single CPU"},
	} {
		t.Run(name, func(t *testing.T) {
			procfs := t.TempDir()
			for file, text := range c.files {
				if err := os.WriteFile(filepath.Join(procfs, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := (&source{}).Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"procfs": procfs}})
			if !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), "parameter procfs") {
				t.Errorf("got %v, want code %s and %q", err, c.code, c.words)
			}
		})
	}
}

// The cut of idle time to ticks blurs single samples and no long mean: 2 CPUs
// with a known load, read at stamps that fit no tick.
func TestMeterKeepsTheMean(t *testing.T) {
	for _, load := range []float64{0, 0.013, 0.5, 0.987, 1} {
		const cpus, intervals, interval = 2, 1000, int64(100_300_007)
		at := func(i int64) usage {
			rest := float64(cpus*i*interval) * (1 - load)
			return usage{atNs: i * interval, cpus: cpus, restTicks: int64(rest / tickNs)}
		}
		m := meter{last: at(0)}
		sum := 0.0
		for i := int64(1); i <= intervals; i++ {
			share := m.share(at(i))
			if share < 0 || share > 1 || math.Abs(share-load) > 0.11 {
				t.Fatalf("load %v: interval %d has share %v", load, i, share)
			}
			sum += share
		}
		if mean := sum / intervals; math.Abs(mean-load) > 2e-4 {
			t.Errorf("load %v: the mean is %v", load, mean)
		}
	}
}

// Idle time that falls (kernels correct it) or runs ahead gives no power
// outside the model, and is forgotten soon.
func TestMeterIsBounded(t *testing.T) {
	m := meter{last: usage{cpus: 2, restTicks: 1000}}
	at := int64(0)
	for _, rest := range []int64{400, 5000, 5000, 5010} {
		at += 100_000_000
		if share := m.share(usage{atNs: at, cpus: 2, restTicks: rest}); share < 0 || share > 1 {
			t.Errorf("rest %d: share %v", rest, share)
		}
	}
	if m.carryNs < -carryMost || m.carryNs > carryMost {
		t.Errorf("%d ns are carried on", m.carryNs)
	}
}

// Whatever two readings say, the share is one.
func FuzzUsage(f *testing.F) {
	f.Add("cpu 1 2 3 4 5 6 7 8\ncpu0 1\n", "cpu 1 2 3 9 5 6 7 8\ncpu0 1\ncpu1 1\n", int64(100_000_000))
	f.Add("cpu 1 2 3 9223372036854775807 5\ncpu0", "cpu 1 2 3 -9223372036854775807 5\ncpu", int64(0))
	f.Fuzz(func(t *testing.T, first, second string, after int64) {
		a, err := parseUsage([]byte(first))
		if err != nil {
			return
		}
		b, err := parseUsage([]byte(second))
		if err != nil {
			return
		}
		b.atNs = after & (1<<45 - 1)
		m := meter{last: a}
		for range 2 {
			if share := m.share(b); !(share >= 0 && share <= 1) {
				t.Fatalf("share %v", share)
			}
		}
	})
}

// On this machine: while one core is burnt, the estimate holds at least what
// the model gives for the CPU time that this process is known to have got.
// Whatever else runs here can only add to it.
func TestBurningACore(t *testing.T) {
	s := &source{}
	domains, err := s.Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"period_ms": int64(100)}})
	if err != nil {
		t.Fatal(err)
	}
	now, err := readUsage("/proc")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	burn := make(chan struct{})
	go func() {
		<-burn
		for ctx.Err() == nil {
		}
	}()
	var startNs, endNs int64
	var cpuAtStart, cpuNs, cpuSeen int64 // cpuSeen: read before the last sample was
	var burntMJ, most int64              // of mW * ms
	err = s.Stream(ctx, func(b sdk.SampleBatch) error {
		stamp, mw := b.MonoNs[0], b.Values[0]
		most = max(most, mw)
		switch {
		case startNs == 0:
			startNs, cpuAtStart = stamp, ownCPU(t)
			close(burn)
			return nil
		case b.CompleteUntilNs != stamp || b.DomainID != domains[0].ID:
			t.Errorf("batch %+v", b)
		}
		burntMJ += mw * ((stamp - max(startNs, endNs)) / 1e6)
		endNs = stamp
		cpuSeen, cpuNs = cpuNs, ownCPU(t)-cpuAtStart
		if cpuSeen > int64(time.Second) {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	took := float64(endNs-startNs) / 1e9
	mean := float64(burntMJ) / 1000 / 1000 / took
	own := float64(cpuSeen) / 1e9 / took / float64(now.cpus)
	least := float64(s.model.milliwatts(own)) / 1000
	idle := float64(s.model.milliwatts(0)) / 1000
	t.Logf("%.2f W over %.2f s with %.2f s of CPU time; idle is %.2f W, full %.2f W", mean, took, float64(cpuSeen)/1e9, idle, s.model.FullW)
	cut := s.model.FullW * carryMost / float64(endNs-startNs)
	if mean < least-cut || least <= idle {
		t.Errorf("the mean is %.2f W, and this process alone makes it %.2f W", mean, least)
	}
	if full := s.model.milliwatts(1); most > full {
		t.Errorf("a sample has %d mW and the model ends at %d", most, full)
	}
}

// ownCPU is the CPU time of this process.
func ownCPU(t *testing.T) int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

// BenchmarkReadUsage is what one sample costs, without sending it.
func BenchmarkReadUsage(b *testing.B) {
	for b.Loop() {
		if _, err := readUsage("/proc"); err != nil {
			b.Fatal(err)
		}
	}
}
