package main

import (
	"strings"
	"testing"
)

// What "auto" comes to is told of the sources that open, in the order of a run.
func TestAutoLine(t *testing.T) {
	for _, c := range []struct{ open, want string }{
		{"", `no: energy = ["auto"] finds none of nvml, rapl, hostpower`},
		{"hostpower", "auto: hostpower, an estimate, if nothing else measures"},
		{"hostpower nvml", "auto: nvml if a cell uses a GPU; hostpower, an estimate, if nothing else measures"},
		{"rapl nvml sim", "auto: nvml if a cell uses a GPU; rapl"},
	} {
		all := []pluginDiagnosis{{Name: "rapl", verdict: unusable("no", "forbidden")}}
		for _, name := range strings.Fields(c.open) {
			all = append(all, pluginDiagnosis{Name: name, verdict: usable("it opens")})
		}
		if got := autoLine(autoSources(all)); !strings.HasPrefix(got, c.want) || c.open != "" && got != c.want {
			t.Errorf("%q: %s", c.open, got)
		}
	}
}
