package dummy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func tiny(t *testing.T) Shape {
	t.Helper()
	s, err := ByID("llem/random-tiny")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The digests are those of every machine: results name them.
func TestFilesAreTheSameEverywhere(t *testing.T) {
	var lines strings.Builder
	for _, w := range WeightTypes() {
		f, err := Ensure(t.TempDir(), tiny(t), w, 1)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&lines, w, f.SHA256)
	}
	golden := filepath.Join("testdata", "tiny-seed1.sha256")
	if *update {
		if err := os.WriteFile(golden, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if lines.String() != string(want) {
		t.Errorf("digests changed; if that is intended raise formatVersion and use -update.\n%s", lines.String())
	}
}

func TestSeedChangesTheFile(t *testing.T) {
	dir := t.TempDir()
	a, errA := Ensure(dir, tiny(t), F32, 1)
	b, errB := Ensure(dir, tiny(t), F32, 2)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a.Path == b.Path || a.SHA256 == b.SHA256 {
		t.Errorf("seeds 1 and 2 give the same file: %+v %+v", a, b)
	}
}

func TestCacheIsUsedAndRepaired(t *testing.T) {
	dir := t.TempDir()
	first, err := Ensure(dir, tiny(t), F16, 1)
	if err != nil || !first.Built {
		t.Fatalf("first: %+v, %v", first, err)
	}
	again := func(what string, built bool) {
		t.Helper()
		f, err := Ensure(dir, tiny(t), F16, 1)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if f.Built != built || f.SHA256 != first.SHA256 {
			t.Errorf("%s: built = %v (want %v), digest %s (want %s)", what, f.Built, built, f.SHA256, first.SHA256)
		}
	}
	again("intact", false)

	whole, err := os.ReadFile(first.Path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)/2] ^= 1
	for what, damage := range map[string]func() error{
		"truncated": func() error { return os.WriteFile(first.Path, whole[:len(whole)/2], 0o644) },
		"one bit":   func() error { return os.WriteFile(first.Path, flipped, 0o644) },
		"no digest": func() error { return os.Remove(digestPath(first.Path)) },
		"no file":   func() error { return os.Remove(first.Path) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		again(what, true)
	}
	again("repaired", false)
}

func TestConcurrentWriters(t *testing.T) {
	dir := t.TempDir()
	digests := make([]string, 8)
	var group sync.WaitGroup
	for i := range digests {
		group.Go(func() {
			f, err := Ensure(dir, tiny(t), Q8_0, 1)
			if err != nil {
				t.Error(err)
			}
			digests[i] = f.SHA256
		})
	}
	group.Wait()
	for _, d := range digests {
		if d != digests[0] {
			t.Errorf("writers disagree: %v", digests)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.part-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("unfinished files were left: %v, %v", left, err)
	}
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Ensure(filepath.Join(file, "below"), tiny(t), F32, 1)
	if err == nil || !strings.Contains(err.Error(), "LLEM_CACHE_DIR") {
		t.Errorf("error %v does not say what to do", err)
	}
}

func TestShapesAreValidated(t *testing.T) {
	good := tiny(t)
	for want, change := range map[string]func(*Shape){
		"0 layers":               func(s *Shape) { s.Layers = 0 },
		"the special and byte":   func(s *Shape) { s.Vocab = 200 },
		"an even multiple":       func(s *Shape) { s.Heads = 3 },
		"a multiple of 3 KV":     func(s *Shape) { s.KVHeads = 3 },
		"packs 32 elements":      func(s *Shape) { s.FFN = 100 },
		"does not divide width ": func(s *Shape) { s.Width = 48; s.Heads = 4 },
	} {
		s := good
		change(&s)
		if err := s.Validate(Q8_0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not contain %q", err, want)
		}
	}
	for _, id := range IDs() {
		s, err := ByID(id)
		if err != nil {
			t.Error(err)
		}
		for _, w := range WeightTypes() {
			if err := s.Validate(w); err != nil {
				t.Errorf("%s as %s: %v", id, w, err)
			}
		}
	}
}
