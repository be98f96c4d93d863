package main

import (
	"encoding/json"
	"strings"
	"testing"

	gpustate "github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/sdk"
)

// The doctor says of each GPU what is amiss, and what to type.
func TestDoctorOnAGPU(t *testing.T) {
	yes, no, parts, limit, standard, errors := true, false, 2, int64(500_000), int64(700_000), int64(3)
	d := gate.Device{
		Facts: gpustate.Facts{UUID: "GPU-1", Model: "NVIDIA A100", Driver: "580.1", Persistence: &no, MIG: &yes, MIGInstances: &parts, DefaultLimitMilliW: &standard,
			Absent: map[string]string{"virtual": "no permission to read it"},
			Sensors: []gpustate.Sensor{{Name: "ring", Error: "Not Supported"},
				{Name: "instant", Scope: "gpu", UpdateNs: 100e6, ResolutionCounts: 1, CallP50Ns: 37e3, CallP99Ns: 50e3}}},
		Before: &gpustate.Snapshot{Reading: gpustate.Reading{LimitMilliW: &limit}, ECCUncorrected: &errors, RowRemapPending: &yes},
	}
	domains := []sdk.Domain{
		{ID: "GPU-0", Kind: sdk.DomainModule, DeviceIDs: []string{"GPU-0"}, Reading: sdk.ReadingCounter, UpdatePeriodNs: 100e6},
		{ID: "GPU-1", Kind: sdk.DomainGPU, DeviceIDs: []string{"GPU-1"}, Reading: sdk.ReadingInstant, AveragingNs: 25e6, UpdatePeriodNs: 100e6},
	}
	var out strings.Builder
	g := judgeGPU(d, domains)
	g.print(&out)
	want := `gpu       GPU-1  NVIDIA A100, driver 580.1
          sensor ring     no: Not Supported
          sensor instant  every 100 ms, steps of 1, of the gpu, a call takes 0.037 ms (p99 0.05 ms)
          warning persistence_off: persistence mode of GPU-1 is off: its driver is torn down when the last user leaves, and counters start again
          -> sudo nvidia-smi -i GPU-1 -pm 1
          fatal mig_on: GPU-1 is split (MIG) into 2 instances; its power is that of all of them
          -> sudo nvidia-smi -i GPU-1 -mig 0, or one instance over the whole card: power is that of all instances
          warning power_limit_nondefault: the power limit of GPU-1 is 500 W and its default 700 W
          -> sudo nvidia-smi -i GPU-1 -pl 700, or name the limit beside the result; a limit below the one asked for is the server's
          warning ecc_seen: GPU-1 had 3 uncorrected memory errors since its driver was loaded
          -> nvidia-smi -q -i GPU-1 -d ECC; reset the GPU, and replace it if they come again
          warning row_remap_pending: a damaged row of the memory of GPU-1 waits for a reset to be remapped
          -> end all its users, then sudo nvidia-smi -i GPU-1 -r
          warning duty_sampled: GPU-1 looks at 25 % of the time
          -> use a source that covers all time (ring or counter of nvml), else static batches (load.mode = "batch") in windows of 10 passes
          unknown vgpu: GPU-1: virtual is not known: no permission to read it
          fine    module_scope
`
	if out.String() != want {
		t.Errorf("printed\n%s", out.String())
	}
	if text, err := json.Marshal(g); err != nil || !strings.Contains(string(text), `"advice":"sudo nvidia-smi -i GPU-1 -pm 1"`) {
		t.Errorf("%s, %v", text, err)
	}
}
