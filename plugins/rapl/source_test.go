package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

func open(t *testing.T, files map[string]string) (*source, []sdk.Domain, error) {
	t.Helper()
	s := &source{}
	domains, err := s.Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"sysfs": plant(t, files), "period_ms": int64(10)}})
	return s, domains, err
}

func with(changes map[string]string) map[string]string {
	files := maps.Clone(server)
	maps.Copy(files, changes)
	return files
}

func TestDomains(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string // id kind inside, of each
	}{
		"server": {server, "package-0 cpu_package psys, dram-0 dram psys, package-1 cpu_package psys, dram-1 dram psys, psys node "},
		"dead platform counter": {with(map[string]string{"intel-rapl:2/energy_uj": "0"}),
			"package-0 cpu_package , dram-0 dram , package-1 cpu_package , dram-1 dram "},
		"two platforms": {with(map[string]string{"intel-rapl:3/name": "psys-1", "intel-rapl:3/energy_uj": "9"}),
			"package-0 cpu_package psys, dram-0 dram psys, package-1 cpu_package psys-1, dram-1 dram psys-1, psys node , psys-1 node "},
		"AMD": {map[string]string{
			"intel-rapl:0/name": "package-0", "intel-rapl:0/energy_uj": "1", "intel-rapl:0/max_energy_range_uj": "65532610987",
			"intel-rapl:0:0/name": "core", "intel-rapl:0:0/energy_uj": "1",
		}, "package-0 cpu_package "},
		"dies": {map[string]string{
			"intel-rapl:0/name": "package-0-die-0", "intel-rapl:0/energy_uj": "1", "intel-rapl:0:0/name": "dram", "intel-rapl:0:0/energy_uj": "1",
			"intel-rapl:1/name": "package-0-die-1", "intel-rapl:1/energy_uj": "1", "intel-rapl:1:0/name": "dram", "intel-rapl:1:0/energy_uj": "1",
		}, "package-0-die-0 cpu_package , dram-0-die-0 dram , package-0-die-1 cpu_package , dram-0-die-1 dram "},
	} {
		t.Run(name, func(t *testing.T) {
			_, domains, err := open(t, c.files)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range domains {
				got = append(got, d.ID+" "+string(d.Kind)+" "+d.ContainedIn)
				if d.Estimated || d.Accuracy != (sdk.Accuracy{}) || d.Host == "" {
					t.Errorf("%s: %+v is not a measured domain of this host with unknown accuracy", d.ID, d)
				}
			}
			if text := strings.Join(got, ", "); text != c.want {
				t.Errorf("got  %q\nwant %q", text, c.want)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		code  sdk.Code
		words string
	}{
		"no powercap":   {nil, sdk.DeviceMissing, "class/powercap does not exist"},
		"no zone":       {map[string]string{"dtpm/name": "x"}, sdk.DeviceMissing, "has no zone intel-rapl:*"},
		"only cores":    {map[string]string{"intel-rapl:0/name": "core"}, sdk.DeviceMissing, "has no zone"},
		"no counter":    {map[string]string{"intel-rapl:0/name": "package-0"}, sdk.DeviceMissing, "energy_uj: no such file"},
		"not a number":  {with(map[string]string{"intel-rapl:1/energy_uj": "many"}), sdk.Internal, `counter of package-1: strconv.ParseUint: parsing "many"`},
		"empty":         {with(map[string]string{"intel-rapl:1/energy_uj": ""}), sdk.Internal, "counter of package-1"},
		"below nothing": {with(map[string]string{"intel-rapl:1/energy_uj": "-4"}), sdk.Internal, "counter of package-1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := open(t, c.files)
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.words) || e.Advice == "" {
				t.Errorf("got %#v, want code %s and %q", err, c.code, c.words)
			}
		})
	}
}

// A counter that only root may read, met by another user.
func TestForbidden(t *testing.T) {
	sysfs := plant(t, server)
	path := filepath.Join(powercap(sysfs), "intel-rapl:0", "energy_uj")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	go func() {
		if os.Geteuid() == 0 {
			// This thread alone stops being root for files, and ends with its
			// goroutine, which stays locked to it.
			runtime.LockOSThread()
			for dir := sysfs; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
				os.Chmod(dir, 0o755)
			}
			if err := syscall.Setfsuid(65534); err != nil {
				opened <- err
				return
			}
		}
		_, err := (&source{}).Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"sysfs": sysfs}})
		opened <- err
	}()
	err := <-opened
	want := "type: sudo chmod a+r " + filepath.Join(powercap(sysfs), "intel-rapl:*", "energy_uj")
	if !errors.Is(err, sdk.Permission) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want code permission and %q", err, want)
	}
}

// One recording through a wrap, failing readings and a restart.
func TestPoll(t *testing.T) {
	s, _, err := open(t, server)
	if err != nil {
		t.Fatal(err)
	}
	var batches []sdk.SampleBatch
	for _, text := range []string{"262143000000", "1000", "", "?", "1500", "200", "200"} {
		write(t, s.zones[0].energyPath(), text)
		err := s.zones[0].poll(func(b sdk.SampleBatch) error { batches = append(batches, b); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []struct {
		value   int64
		epoch   uint32
		dropped uint64
	}{{262143000000, 0, 0}, {262143329850, 0, 0}, {262143330350, 0, 2}, {200, 1, 0}, {200, 1, 0}} {
		if i >= len(batches) {
			t.Fatalf("%d batches", len(batches))
		}
		b := batches[i]
		if b.Values[0] != want.value || b.Epoch != want.epoch || b.Sequence != uint64(i) || b.Dropped != want.dropped {
			t.Errorf("batch %d: %+v, want value %d in epoch %d after %d dropped", i, b, want.value, want.epoch, want.dropped)
		}
		if i > 0 && (b.MonoNs[0] <= batches[i-1].MonoNs[0] || b.CompleteUntilNs < b.MonoNs[0]) {
			t.Errorf("batch %d: stamp %d, watermark %d after stamp %d", i, b.MonoNs[0], b.CompleteUntilNs, batches[i-1].MonoNs[0])
		}
	}
}

// A counter that goes away, or fails for good, ends the stream with its reason.
func TestLostCounter(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(path string)
		code sdk.Code
	}{
		"gone":    {func(path string) { os.Remove(path) }, sdk.DeviceMissing},
		"garbled": {func(path string) { os.WriteFile(path, []byte("?"), 0o644) }, sdk.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, err := open(t, server)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err = s.Stream(ctx, func(sdk.SampleBatch) error { c.lose(s.zones[0].energyPath()); return nil })
			if !errors.Is(err, c.code) || !strings.Contains(err.Error(), "package-0") {
				t.Errorf("got %v, want code %s", err, c.code)
			}
		})
	}
}

// BenchmarkPoll is the cost of one reading of one zone, without sending it.
func BenchmarkPoll(b *testing.B) {
	path := filepath.Join(b.TempDir(), "energy_uj")
	os.WriteFile(path, []byte("123456789\n"), 0o644)
	z := &reader{zone: &zone{dir: filepath.Dir(path), counter: counter{rangeUJ: 1 << 40, mostW: mostPackageW}}}
	for b.Loop() {
		if err := z.poll(func(sdk.SampleBatch) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
