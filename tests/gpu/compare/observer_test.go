package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/stats"
)

// observerEffect is by how much a load's joules per pass differ while llem watches,
// with the interval, from the stretches that tests/gpu/observer printed.
func observerEffect(t *testing.T) stats.Comparison {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(results, "h200-observer", "observer.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var kinds [2][]float64 // geometric mean of a quad's two stretches: without, with
	for line := range strings.Lines(string(text)) {
		var quad int
		var watched bool
		var seconds, watts, passMs, passJ float64
		_, err := fmt.Sscanf(line, "quad %d watched %t %f s %f W %f ms/pass %f J/pass", &quad, &watched, &seconds, &watts, &passMs, &passJ)
		if err != nil || strings.Contains(line, "thrown away") {
			continue
		}
		k := 0
		if watched {
			k = 1
		}
		for len(kinds[k]) < quad {
			kinds[k] = append(kinds[k], 1)
		}
		kinds[k][quad-1] *= math.Sqrt(passJ)
	}
	c, err := stats.ComparePaired(stats.Spec{Metric: "energy per pass", Unit: "J"}, kinds[0], kinds[1])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The observer effect on the accuracy page, its interval too, is that of the stretches.
func TestObserverEffectComesFromItsStretches(t *testing.T) {
	c := observerEffect(t)
	text, err := os.ReadFile("../../../docs/accuracy/gpu.json")
	if err != nil {
		t.Fatal(err)
	}
	interval := fmt.Sprintf(`"interval": [%.3f, %.3f]`, 100*(*c.Lo-1), 100*(*c.Hi-1))
	if c.N != 6 || !strings.Contains(string(text), fmt.Sprintf("%d quads of stretches of 10 s (tests/gpu/observer)", c.N)) || !strings.Contains(string(text), interval) {
		t.Errorf("gpu.json has not the interval %s of %d quads", interval, c.N)
	}
}
