//go:build linux && cgo

package nvml

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"

	"github.com/llenergymeasure/llem/sdk"
)

// mockLibrary is a driver with one GPU that has the named symbols only. Any call
// that is not set panics, as a call of a missing symbol would end the process.
func mockLibrary(handle *mock.Device, has ...string) *mock.Interface {
	handle.GetUUIDFunc = func() (string, nvml.Return) { return "GPU-1", nvml.SUCCESS }
	handle.GetNameFunc = func() (string, nvml.Return) { return "NVIDIA H100", nvml.SUCCESS }
	return &mock.Interface{
		InitFunc:                   func() nvml.Return { return nvml.SUCCESS },
		ShutdownFunc:               func() nvml.Return { return nvml.SUCCESS },
		ErrorStringFunc:            func(r nvml.Return) string { return "code " + string(rune('0'+r%10)) },
		SystemGetDriverVersionFunc: func() (string, nvml.Return) { return "580.1", nvml.SUCCESS },
		DeviceGetCountFunc:         func() (int, nvml.Return) { return 1, nvml.SUCCESS },
		DeviceGetHandleByIndexFunc: func(int) (nvml.Device, nvml.Return) { return handle, nvml.SUCCESS },
		ExtensionsFunc: func() nvml.ExtendedInterface {
			return &mock.ExtendedInterface{LookupSymbolFunc: func(name string) error {
				if slices.Contains(has, name) {
					return nil
				}
				return errors.New("undefined symbol")
			}}
		},
	}
}

// After a failed Init no other call is made: each would panic here.
func TestInitFails(t *testing.T) {
	for r, want := range map[nvml.Return]struct {
		code sdk.Code
		text string
	}{
		nvml.ERROR_LIBRARY_NOT_FOUND:       {sdk.DeviceMissing, "libnvidia-ml.so.1"},
		nvml.ERROR_DRIVER_NOT_LOADED:       {sdk.DeviceMissing, "not loaded"},
		nvml.ERROR_LIB_RM_VERSION_MISMATCH: {sdk.DeviceMissing, "different versions"},
		nvml.ERROR_NO_PERMISSION:           {sdk.Permission, "may not be used"},
		nvml.ERROR_UNKNOWN:                 {sdk.DeviceMissing, "(999)"},
	} {
		_, err := open(&mock.Interface{InitFunc: func() nvml.Return { return r }})
		if !errors.Is(err, want.code) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%d: %v", r, err)
		}
	}
}

func TestFailureAfterInitShutsDown(t *testing.T) {
	lib := mockLibrary(&mock.Device{})
	lib.DeviceGetHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_NO_PERMISSION }
	if _, err := open(lib); !errors.Is(err, sdk.Permission) || len(lib.ShutdownCalls()) != 1 {
		t.Errorf("%v, %d shutdowns", err, len(lib.ShutdownCalls()))
	}
}

// A driver without any optional symbol: nothing is called, everything is absent
// with a reason, and opening ends in advice.
func TestOldDriver(t *testing.T) {
	s := New()
	s.getenv = func(string) (string, bool) { return "", false }
	s.load = func() (driver, error) { return open(mockLibrary(&mock.Device{})) }
	_, err := s.Open(t.Context(), sdk.OpenRequest{})
	if !errors.Is(err, sdk.DeviceMissing) || !strings.Contains(err.Error(), "upgrade") || !strings.Contains(err.Error(), "nvmlDeviceGetSamples") {
		t.Errorf("%v", err)
	}
	d, err := open(mockLibrary(&mock.Device{}))
	if err != nil {
		t.Fatal(err)
	}
	g := d.cards[0].gpu
	f := g.Facts()
	if f.Persistence != nil || f.MIG != nil || f.MostLimitMilliW != nil || f.Absent["persistence"] == "" || f.Absent["most_limit_mw"] == "" || f.Absent["architecture"] == "" {
		t.Errorf("%+v", f)
	}
	if shot := g.Snapshot(); shot.Processes != nil || shot.ECCUncorrected != nil {
		t.Errorf("%+v", shot)
	}
	if r := g.Reading(); r.TemperatureC != nil || r.Reasons != nil {
		t.Errorf("%+v", r)
	}
}

func TestRealGPUCalls(t *testing.T) {
	u32 := func(v uint32) (b [8]byte) { binary.LittleEndian.PutUint32(b[:], v); return b }
	handle := &mock.Device{
		GetTotalEnergyConsumptionFunc: func() (uint64, nvml.Return) { return 7, nvml.SUCCESS },
		GetSamplesFunc: func(kind nvml.SamplingType, last uint64) (nvml.ValueType, []nvml.Sample, nvml.Return) {
			if kind != nvml.TOTAL_POWER_SAMPLES || last > 100 {
				return 0, nil, nvml.ERROR_NOT_FOUND
			}
			return nvml.VALUE_TYPE_UNSIGNED_INT, []nvml.Sample{{TimeStamp: 100, SampleValue: u32(300_000)}, {}}, nvml.SUCCESS
		},
		GetFieldValuesFunc: func(list []nvml.FieldValue) nvml.Return {
			for i := range list {
				list[i].ValueType = uint32(nvml.VALUE_TYPE_UNSIGNED_INT)
				list[i].Value = u32(list[i].FieldId)
				if list[i].ScopeId == scopeModule {
					list[i].NvmlReturn = uint32(nvml.ERROR_INVALID_ARGUMENT)
				}
			}
			return nvml.SUCCESS
		},
		GetEccModeFunc:                      func() (nvml.EnableState, nvml.EnableState, nvml.Return) { return nvml.FEATURE_ENABLED, 0, nvml.SUCCESS },
		GetPowerManagementDefaultLimitFunc:  func() (uint32, nvml.Return) { return 0, nvml.SUCCESS },
		GetCurrentClocksThrottleReasonsFunc: func() (uint64, nvml.Return) { return 4, nvml.SUCCESS },
		GetComputeRunningProcessesFunc:      func() ([]nvml.ProcessInfo, nvml.Return) { return []nvml.ProcessInfo{{Pid: 42}}, nvml.SUCCESS },
		GetVirtualizationModeFunc: func() (nvml.GpuVirtualizationMode, nvml.Return) {
			return nvml.GPU_VIRTUALIZATION_MODE_PASSTHROUGH, nvml.SUCCESS
		},
		GetMaxMigDeviceCountFunc: func() (int, nvml.Return) { return 2, nvml.SUCCESS },
		GetMigModeFunc:           func() (int, int, nvml.Return) { return 1, 1, nvml.SUCCESS },
		GetTemperatureFunc:       func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 0, nvml.ERROR_GPU_IS_LOST },
		GetMigDeviceHandleByIndexFunc: func(i int) (nvml.Device, nvml.Return) {
			if i == 0 {
				return nil, nvml.ERROR_NOT_FOUND
			}
			return &mock.Device{GetUUIDFunc: func() (string, nvml.Return) { return "MIG-1", nvml.SUCCESS }}, nvml.SUCCESS
		},
	}
	d, err := open(mockLibrary(handle, "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetSamples", "nvmlDeviceGetFieldValues", "nvmlDeviceGetEccMode",
		"nvmlDeviceGetPowerManagementDefaultLimit", "nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetComputeRunningProcesses",
		"nvmlDeviceGetVirtualizationMode", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex", "nvmlDeviceGetMigMode", "nvmlDeviceGetTemperature"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.cards[0].MIG, []string{"MIG-1"}) {
		t.Errorf("MIG %v", d.cards[0].MIG)
	}
	g := d.cards[0].gpu
	if v, err := g.EnergyMilliJ(); v != 7 || err != nil {
		t.Errorf("%d %v", v, err)
	}
	if list, err := g.PowerRing(0); err != nil || len(list) != 2 || list[0] != (ringSample{100, 300_000}) || list[1].WallUs != 0 {
		t.Errorf("%v %v", list, err)
	}
	if list, err := g.PowerRing(101); err != nil || len(list) != 0 {
		t.Errorf("nothing new: %v %v", list, err)
	}
	answer := g.Fields(field{185, scopeGPU}, field{185, scopeModule})
	if answer[0] != (fieldValue{Value: 185}) || !errors.Is(answer[1].Err, errAbsent) {
		t.Errorf("%v", answer)
	}
	f := g.Facts()
	if f.ECC == nil || !*f.ECC || f.DefaultLimitMilliW != nil || f.Absent["default_limit_mw"] == "" || f.Virtual == nil || *f.Virtual || *f.MIGInstances != 1 {
		t.Errorf("%+v", f)
	}
	if r := g.Reading(); r.Reasons == nil || *r.Reasons != 4 || r.TemperatureC != nil {
		t.Errorf("%+v", r)
	}
	if shot := g.Snapshot(); len(shot.Processes) != 1 || shot.Processes[0].PID != 42 || shot.Processes[0].Kind != "compute" {
		t.Errorf("%+v", shot)
	}
}

func TestReturnsBecomeKinds(t *testing.T) {
	g := &realGPU{lib: mockLibrary(&mock.Device{})}
	for r, want := range map[nvml.Return]error{
		nvml.SUCCESS: nil, nvml.ERROR_NOT_SUPPORTED: errAbsent, nvml.ERROR_NO_PERMISSION: errPermission,
		nvml.ERROR_GPU_IS_LOST: errLost, nvml.ERROR_UNINITIALIZED: errLost, nvml.ERROR_DRIVER_NOT_LOADED: errLost,
	} {
		if err := g.failure(r); !errors.Is(err, want) {
			t.Errorf("%d: %v", r, err)
		}
	}
	if err := g.failure(nvml.ERROR_TIMEOUT); err == nil || errors.Is(err, errLost) || errors.Is(err, errAbsent) {
		t.Errorf("%v", err)
	}
}

// A sample of a type that holds no milliwatts is marked, and the ring counts it.
func TestSamplesThatAreNoNumbers(t *testing.T) {
	handle := &mock.Device{GetSamplesFunc: func(nvml.SamplingType, uint64) (nvml.ValueType, []nvml.Sample, nvml.Return) {
		var nan [8]byte
		binary.LittleEndian.PutUint64(nan[:], math.Float64bits(math.NaN()))
		return nvml.VALUE_TYPE_DOUBLE, []nvml.Sample{{TimeStamp: 1, SampleValue: nan}}, nvml.SUCCESS
	}}
	d, err := open(mockLibrary(handle, "nvmlDeviceGetSamples"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := d.cards[0].gpu.PowerRing(0); err != nil || list[0].MilliW != noMilliW {
		t.Errorf("%v %v", list, err)
	}
}
