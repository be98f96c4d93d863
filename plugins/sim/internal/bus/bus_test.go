package bus

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// Whatever two writers book while a reader looks, the reader counts all of it
// by the time that it says so, and nothing twice.
func TestNothingIsCountedTooLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus")
	reader, err := NewReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	const each, lengthNs = 500, int64(30_000)
	begin := sdk.MonoNow() - MostLateNs - 1
	var writers sync.WaitGroup
	lastNs := make([]int64, 2)
	for w := range lastNs {
		writers.Go(func() {
			writer, err := NewWriter(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer writer.Close()
			for range each {
				// Always later than it may be: the booking moves it.
				at, err := writer.Book(0, lengthNs, 2.5)
				if err != nil {
					t.Error(err)
				}
				lastNs[w] = at + lengthNs
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	sum, from := 0.0, begin
	for ended := false; ; {
		until, err := reader.Advance()
		if err != nil {
			t.Fatal(err)
		}
		sum += reader.EnergyJ(from, until)
		reader.Forget(until)
		from = until
		if ended && until > max(lastNs[0], lastNs[1]) {
			break
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	if want := 2 * each * float64(lengthNs) * 1e-9 * 2.5; math.Abs(sum-want) > 1e-9 {
		t.Errorf("%.9f J were counted and %.9f J booked", sum, want)
	}
}

func TestPowerAtAStamp(t *testing.T) {
	reader := Reader{spans: []span{{10, 20, 1000}, {15, 30, 500}}}
	for ns, want := range map[int64]float64{9: 0, 10: 1, 15: 1.5, 20: 0.5, 30: 0} {
		if got := reader.At(ns); got != want {
			t.Errorf("at %d: %g W, want %g", ns, got, want)
		}
	}
}

func TestAFileThatIsNoBus(t *testing.T) {
	for _, text := range []string{"hello\n", "1 2\n", "1 2 3", "1 2 x\n"} {
		path := filepath.Join(t.TempDir(), "bus")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		reader, err := NewReader(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Advance(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
		_ = reader.Close()
	}
	if _, err := NewWriter("/nowhere/bus"); err == nil || !strings.Contains(err.Error(), "`bus` must name") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("1 2 3\n"))
	f.Add([]byte("-9223372036854775808 0x1 3\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, ok := parse(line)
		if again, same := parse(fmt.Appendf(nil, "%d %d %d\n", s.fromNs, s.toNs, s.milliwatts)); ok && (!same || again != s) {
			t.Errorf("%q is %v, and written again %v", line, s, again)
		}
	})
}
