package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// threeDomains is a recording of two cards, of which the first has two domains, and a CPU.
const threeDomains = `# {"domain": {"id": "b", "kind": "gpu", "device_ids": ["GPU-b"], "reading": "instant", "unit_num": 1, "unit_den": 1}}
# {"domain": {"id": "b/memory", "kind": "gpu_memory", "device_ids": ["GPU-b"], "reading": "instant", "unit_num": 1, "unit_den": 1}}
# {"domain": {"id": "a", "kind": "gpu", "device_ids": ["GPU-a"], "reading": "instant", "unit_num": 1, "unit_den": 1}}
# {"domain": {"id": "cpu", "kind": "cpu_package", "device_ids": ["package-0"], "reading": "instant", "unit_num": 1, "unit_den": 1}}
stamp_ns,domain,value
1000,b,1
2000,b,1
1000,b/memory,1
2000,b/memory,1
1000,a,1
2000,a,1
1000,cpu,1
2000,cpu,1
`

// Recorded GPUs stand for those that are named, in the order of the recording; a CPU
// keeps its id.
func TestDevicesInAnotherPlace(t *testing.T) {
	path := file(t, "x.csv", threeDomains)
	domains, err := open(path, sdk.Table{"devices": []any{"sim-gpu-0", "sim-gpu-1"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"sim-gpu-0", "sim-gpu-0", "sim-gpu-1", "package-0"} {
		if !slices.Equal(domains[i].DeviceIDs, []string{want}) {
			t.Errorf("%s has the devices %v, want %s", domains[i].ID, domains[i].DeviceIDs, want)
		}
	}
	if domains, err = open(path, sdk.Table{"domains": []any{"a"}, "devices": []any{"sim-gpu-0"}}); err != nil || domains[0].DeviceIDs[0] != "sim-gpu-0" {
		t.Errorf("one card of two: %+v, %v", domains, err)
	}
	if domains, err = open(path, nil); err != nil || domains[2].DeviceIDs[0] != "GPU-a" {
		t.Errorf("without devices: %+v, %v", domains, err)
	}
	for want, more := range map[string]sdk.Table{
		"has 2 GPUs and `devices` names 1": {"devices": []any{"x"}},
		"names \"x\" twice":                {"devices": []any{"x", "x"}},
		"has no GPU":                       {"domains": []any{"cpu"}, "devices": []any{"x"}},
		"recording's: GPU-b, GPU-a":        {"devices": []any{"x", "y", "z"}},
	} {
		if _, err := open(path, more); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", more, err, want)
		}
	}
}

// A study cannot ask for a recording that ends when it is opened: no window would lie
// in it. A program that reads one through the contract can.
func TestNoStudyStartsAligned(t *testing.T) {
	refused := func(start string) []sdk.Diagnostic {
		return sdk.CheckTable((&source{}).Describe().Parameters, sdk.Table{"path": "/x", "start": start})
	}
	t.Setenv(alignedEnv, "")
	if found := refused(startAligned); len(found) != 1 || found[0].KeyPath != "start" || !strings.Contains(found[0].Advice, "before a study's first window") {
		t.Errorf("%+v", found)
	}
	if found := refused(startNow); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	t.Setenv(alignedEnv, "1")
	if found := refused(startAligned); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}
