package openaiserver

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

const (
	gpuA = "GPU-aaaa1111-0000-0000-0000-000000000000"
	gpuB = "GPU-bbbb2222-0000-0000-0000-000000000000"
	gpuC = "GPU-bbbb3333-0000-0000-0000-000000000000"
	migB = "MIG-cccc4444-0000-0000-0000-000000000000"
)

// driver puts a program on the PATH that answers as the driver's own does for three
// GPUs; apps is the shell that prints what computes on them.
func driver(t *testing.T, apps string) {
	t.Helper()
	list := fmt.Sprintf("GPU 0: NVIDIA H100 80GB HBM3 (UUID: %s)\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: %s)\n  MIG 3g.40gb     Device  0: (UUID: %s)\nGPU 2: NVIDIA H100 80GB HBM3 (UUID: %s)", gpuA, gpuB, migB, gpuC)
	program(t, fmt.Sprintf("case $1 in\n-L) echo '%s' ;;\n*) %s ;;\nesac", list, apps))
}

// onGPUs loads the test's server, which has a child, as one of an engine with this
// need.
func onGPUs(t *testing.T, need sdk.DeviceNeed, ids []string, readBack sdk.Table) *loading {
	t.Helper()
	e := testEngine()
	e.Devices = func(sdk.Cell) []sdk.DeviceNeed { return []sdk.DeviceNeed{need} }
	e.ReadBack = func(_ context.Context, _ *Server, report *sdk.LoadReport) error {
		maps.Copy(report.Resolved, readBack)
		return nil
	}
	l := &loading{backend: Backend(e).(*backend)}
	t.Cleanup(func() { unload(t, l) })
	l.report, l.err = l.Load(t.Context(), sdk.LoadRequest{Cell: testCell(nil), WorkDir: t.TempDir(), DeviceIDs: ids}, sdk.NewProgress(func(sdk.StageEvent) {}))
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l
}

// children is shell for a row of each GPU named and each child of a server of these
// tests, behind rows of a process that is none and of one that the driver hides.
func children(gpus ...string) string {
	return "echo '" + gpuA + ", 1'; echo '" + gpuA + ", [N/A]'; for p in /proc/[0-9]*; do " +
		`tr '\0' '\n' 2>/dev/null <$p/environ | grep -q '^OPENAI_TEST_CHILD=' && for g in ` + strings.Join(gpus, " ") + `; do echo "$g, ${p#/proc/}"; done; done; true`
}

func TestGPUsAreThoseThatTheServersFamilyHolds(t *testing.T) {
	for name, c := range map[string]struct {
		need sdk.DeviceNeed
		held []string
	}{
		"needed":            {sdk.DeviceNeed{Kind: "gpu", Min: 1, Max: 1}, []string{gpuB}},
		"perhaps used":      {sdk.DeviceNeed{Kind: "gpu", Max: 1}, []string{gpuB}},
		"in driver's order": {sdk.DeviceNeed{Kind: "gpu", Min: 2, Max: 2}, []string{gpuC, gpuA, gpuC}},
	} {
		t.Run(name, func(t *testing.T) {
			driver(t, children(c.held...))
			l := onGPUs(t, c.need, nil, nil)
			want := slices.Compact(slices.Sorted(slices.Values(c.held)))
			if got := names(l.report.Devices); !slices.Equal(got, want) {
				t.Fatalf("devices %v, not %v", got, want)
			}
			for rank, d := range l.report.Devices {
				if d.Kind != "gpu" || int(d.Rank) != rank || int(d.PID) == l.process.pid() || !slices.Contains(l.process.family.Look(), int(d.PID)) {
					t.Errorf("device %+v is not held by a child of %d", d, l.process.pid())
				}
			}
			if len(l.report.Warnings) != 0 {
				t.Errorf("warnings %v", l.report.Warnings)
			}
		})
	}
}

func TestGPUsThatTheDriverDoesNotTellAreAssumedWithAWarning(t *testing.T) {
	one := sdk.DeviceNeed{Kind: "gpu", Min: 1, Max: 1}
	for name, c := range map[string]struct {
		apps, visible string
		need          sdk.DeviceNeed
		resolved      sdk.Table
		want          []string
	}{
		"all visible":          {"true", "unset", one, nil, []string{gpuA}},
		"by index":             {"echo '" + gpuA + ", 1'", "2,0", one, nil, []string{gpuC}},
		"by beginning":         {"true", "GPU-bbbb2", one, nil, []string{gpuB}},
		"an instance":          {"true", "MIG-cccc", one, nil, []string{gpuB}},
		"two":                  {"true", gpuC + ",1", sdk.DeviceNeed{Kind: "gpu", Min: 2, Max: 2}, nil, []string{gpuC, gpuB}},
		"the engine said cuda": {"true", "1,2,0", sdk.DeviceNeed{Kind: "gpu", Max: 2}, sdk.Table{"device": "cuda"}, []string{gpuB, gpuC}},
		"the driver failed":    {"exit 9", "unset", one, nil, []string{gpuA}},
	} {
		t.Run(name, func(t *testing.T) {
			driver(t, c.apps)
			t.Setenv(visibleKey, c.visible)
			if c.visible == "unset" {
				os.Unsetenv(visibleKey)
			}
			l := onGPUs(t, c.need, nil, c.resolved)
			if got := names(l.report.Devices); !slices.Equal(got, c.want) {
				t.Errorf("devices %v, not %v", got, c.want)
			}
			for rank, d := range l.report.Devices {
				if d.Kind != "gpu" || int(d.Rank) != rank || int(d.PID) != l.process.pid() {
					t.Errorf("device %+v", d)
				}
			}
			if w := l.report.Warnings; len(w) != 1 || w[0].Code != "devices_assumed" || !strings.Contains(w[0].Message, c.want[0]) {
				t.Errorf("warnings %v", w)
			}
		})
	}
}

func TestNoGPUsAreAssumedWhereNoneAreUsed(t *testing.T) {
	maybe, one := sdk.DeviceNeed{Kind: "gpu", Max: 1}, sdk.DeviceNeed{Kind: "gpu", Min: 1, Max: 1}
	for name, c := range map[string]struct {
		apps string
		need sdk.DeviceNeed
		ids  []string
		read sdk.Table
		want []string
	}{
		"it may do without":       {"true", maybe, nil, nil, []string{"cpu"}},
		"the cell is for the CPU": {children(gpuA), sdk.DeviceNeed{Kind: "cpu", Min: 1, Max: 1}, nil, nil, []string{"cpu"}},
		"the engine said cpu":     {children(gpuA), maybe, nil, sdk.Table{"device": "cpu"}, []string{"cpu"}},
		"the load names them":     {children(gpuA), one, []string{gpuC}, nil, []string{gpuC}},
	} {
		t.Run(name, func(t *testing.T) {
			driver(t, c.apps)
			l := onGPUs(t, c.need, c.ids, c.read)
			if got := names(l.report.Devices); !slices.Equal(got, c.want) || len(l.report.Warnings) != 0 {
				t.Errorf("devices %v, warnings %v; want %v", got, l.report.Warnings, c.want)
			}
		})
	}
}

func TestWithoutADriverThereIsNoGPU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	l := onGPUs(t, sdk.DeviceNeed{Kind: "gpu", Min: 1, Max: 1}, nil, nil)
	if got := names(l.report.Devices); !slices.Equal(got, []string{"cpu"}) {
		t.Errorf("devices %v", got)
	}
}

func names(devices []sdk.DeviceUse) (ids []string) {
	for _, d := range devices {
		ids = append(ids, d.ID)
	}
	return ids
}
