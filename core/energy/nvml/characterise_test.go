package nvml

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/sdk"
)

// characterised runs a fresh source over g and returns what it found and how
// long that took.
func characterised(t *testing.T, g *fakeGPU, dir string) (s *Source, sensors map[string]device.Sensor, took time.Duration) {
	t.Helper()
	s = sourceOf(g)
	begin := time.Now()
	if err := s.Characterise(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	took = time.Since(begin)
	sensors = map[string]device.Sensor{}
	for _, f := range s.Facts() {
		for _, x := range f.Sensors {
			sensors[x.Name] = x
		}
	}
	return s, sensors, took
}

func TestCharacterise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "cache")
		g := newFake("GPU-1")
		g.watts = 250
		time.Sleep(3 * time.Second)
		_, sensors, took := characterised(t, g, dir)
		if took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		ring, counter := sensors[sensorRing], sensors[sensorCounter]
		if ring.UpdateNs != 20e6 || ring.Depth != ringDepth || ring.CallP50Ns != 620e3 || ring.Scope != "gpu" {
			t.Errorf("%+v", ring)
		}
		if d := counter.UpdateNs - 100e6; d < -7e6 || d > 7e6 || counter.ResolutionCounts != 25_000 || counter.CallP99Ns != 6e6 || counter.Changes < 15 {
			t.Errorf("%+v", counter)
		}
		if sensors[sensorAverage].Error == "" || sensors[sensorInstant].Error == "" {
			t.Errorf("absent sensors without a reason: %+v", sensors)
		}

		// The second time it is read back, and Open uses it.
		s, again, took := characterised(t, g, dir)
		if took > 10*time.Millisecond || again[sensorCounter] != counter {
			t.Errorf("not from the cache: %v, %+v", took, again)
		}
		domains, err := s.Open(t.Context(), sdk.OpenRequest{})
		if err != nil || domains[0].UpdatePeriodNs != ring.UpdateNs || domains[1].UpdatePeriodNs != counter.UpdateNs {
			t.Errorf("%+v %v", domains, err)
		}

		// Another driver, a damaged file and a foreign one are done anew.
		path := cachePath(dir, g.facts)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{"empty": nil, "cut": text[:len(text)/2], "foreign": []byte(`{"form":2,"uuid":"GPU-2","driver":"580.159.04","sensors":[{"name":"ring"}]}`), "other form": []byte(`{"form":99}`)} {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, sensors, took := characterised(t, g, dir); took < time.Second || sensors[sensorRing].Depth != ringDepth {
				t.Errorf("%s: took %v, %+v", name, took, sensors[sensorRing])
			}
			if now, err := os.ReadFile(path); err != nil || len(now) < 100 {
				t.Errorf("%s: the cache was not mended: %v", name, err)
			}
		}
		g.facts.Driver = "999"
		if _, _, took := characterised(t, g, dir); took < time.Second {
			t.Error("another driver's cache was used")
		}
		// A directory that cannot be made is told, and changes nothing else.
		s, sensors, _ = characterised(t, g, filepath.Join(path, "below-a-file"))
		if codes(s)[EventCacheUnwritable] != 1 || sensors[sensorRing].Depth != ringDepth {
			t.Errorf("%v", s.Events(0))
		}
	})
}

// A ring that is still being filled does not show its depth.
func TestCharacteriseARingThatFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newFake("GPU-1")
		g.lastTick = time.Now()
		time.Sleep(100 * time.Millisecond)
		_, sensors, _ := characterised(t, g, "")
		if ring := sensors[sensorRing]; ring.Depth != 0 || ring.UpdateNs != 20e6 {
			t.Errorf("%+v", ring)
		}
	})
}

// Open takes periods and depth as they were found.
func TestOpenTakesWhatWasFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf(newFake("GPU-1"))
		s.sensors["GPU-1"] = []device.Sensor{{Name: sensorCounter, Depth: 7, UpdateNs: 50e6, Calls: 9, Changes: 9}, {Name: sensorRing, Depth: 60, UpdateNs: 10e6}}
		domains, err := s.Open(t.Context(), sdk.OpenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		r, ok := s.readers[0].sensors[0].(*ring)
		if !ok || r.depth != 60 || r.periodNs != 10e6 || domains[0].UpdatePeriodNs != 10e6 || domains[1].UpdatePeriodNs != 50e6 || s.readers[0].counter.updateNs != 50e6 {
			t.Errorf("%+v, %+v", r, domains)
		}
	})
}

// What may pass is not kept: a call that failed once, or a permission.
func TestCharacteriseKeepsNoFailure(t *testing.T) {
	for _, err := range []error{errors.New("timeout"), errPermission} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			g := newFake("GPU-1")
			time.Sleep(3 * time.Second)
			g.counterErr = err
			if _, sensors, _ := characterised(t, g, dir); sensors[sensorCounter].Error == "" {
				t.Errorf("%+v", sensors[sensorCounter])
			}
			g.counterErr = nil
			if _, sensors, _ := characterised(t, g, dir); sensors[sensorCounter].Error != "" || sensors[sensorCounter].Changes == 0 {
				t.Errorf("%v was kept: %+v", err, sensors[sensorCounter])
			}
		})
	}
}

func TestCharacteriseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		dir := t.TempDir()
		s := sourceOf(newFake("GPU-1"))
		if err := s.Characterise(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
			t.Errorf("half a look was kept: %v, %v", list, err)
		}
	})
}
