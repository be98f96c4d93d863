//go:build linux && cgo

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/llenergymeasure/llem/sdk"
)

func loadLibrary() (driver, error) { return open(nvml.New()) }

// open starts NVML. After a failed Init no further NVML call is made: one would
// end the process.
func open(lib nvml.Interface) (driver, error) {
	if r := lib.Init(); r != nvml.SUCCESS {
		e := &sdk.Error{Code: sdk.DeviceMissing, Phase: phaseOpen, Message: fmt.Sprintf("NVML does not start (%d)", r), Advice: "run `nvidia-smi` to see why"}
		switch r {
		case nvml.ERROR_LIBRARY_NOT_FOUND:
			e.Message = "libnvidia-ml.so.1 is not on this machine"
			e.Advice = "install the NVIDIA driver, or measure another source"
		case nvml.ERROR_DRIVER_NOT_LOADED:
			e.Message = "the NVIDIA kernel driver is not loaded"
			e.Advice = "load it (`modprobe nvidia`), or in a container start it with GPUs"
		case nvml.ERROR_LIB_RM_VERSION_MISMATCH:
			e.Message = "NVML and the kernel driver have different versions"
			e.Advice = "reboot, or reload the driver after its upgrade"
		case nvml.ERROR_NO_PERMISSION:
			e.Code, e.Message = sdk.Permission, "NVML may not be used by this user"
			e.Advice = "let this user open /dev/nvidia*"
		}
		return driver{}, e
	}
	shutdown := func() { _ = lib.Shutdown() } // the process is done with it, whatever it says
	fail := func(what string, r nvml.Return) (driver, error) {
		message := fmt.Sprintf("%s: %v", what, lib.ErrorString(r))
		shutdown()
		code := sdk.DeviceMissing
		if r == nvml.ERROR_NO_PERMISSION {
			code = sdk.Permission
		}
		return driver{}, &sdk.Error{Code: code, Phase: phaseOpen, Message: message, Advice: "run `nvidia-smi` to see why"}
	}
	has := symbols(lib)
	version, r := lib.SystemGetDriverVersion()
	if r != nvml.SUCCESS {
		version = "" // Facts.Absent says so
	}
	count, r := lib.DeviceGetCount()
	if r != nvml.SUCCESS {
		return fail("count GPUs", r)
	}
	d := driver{shutdown: shutdown}
	for i := range count {
		handle, r := lib.DeviceGetHandleByIndex(i)
		if r != nvml.SUCCESS {
			return fail(fmt.Sprintf("open GPU %d", i), r)
		}
		uuid, r := handle.GetUUID()
		if r != nvml.SUCCESS {
			return fail(fmt.Sprintf("read the UUID of GPU %d", i), r)
		}
		g := &realGPU{lib: lib, handle: handle, index: i, uuid: uuid, driver: version, has: has}
		c := card{UUID: uuid, gpu: g, MIG: g.migUUIDs()}
		if c.Model, r = handle.GetName(); r != nvml.SUCCESS {
			c.Model = ""
		}
		g.model = c.Model
		d.cards = append(d.cards, c)
	}
	return d, nil
}

// symbols finds which calls this driver has. To call one that it lacks would end
// the process.
func symbols(lib nvml.Interface) map[string]bool {
	has := map[string]bool{}
	for _, name := range []string{
		"nvmlDeviceGetSamples", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage",
		"nvmlDeviceGetTemperature", "nvmlDeviceGetClockInfo", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetEnforcedPowerLimit",
		"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons",
		"nvmlDeviceGetPersistenceMode", "nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex",
		"nvmlDeviceGetVirtualizationMode", "nvmlDeviceGetEccMode", "nvmlDeviceGetTotalEccErrors", "nvmlDeviceGetRemappedRows",
		"nvmlDeviceGetPowerManagementDefaultLimit", "nvmlDeviceGetPowerManagementLimitConstraints",
		"nvmlDeviceGetArchitecture", "nvmlDeviceGetVbiosVersion", "nvmlDeviceGetMemoryInfo",
		"nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses", "nvmlDeviceGetMPSComputeRunningProcesses",
	} {
		has[name] = lib.Extensions().LookupSymbol(name) == nil
	}
	return has
}

// realGPU is a gpu behind the real library.
type realGPU struct {
	lib                 nvml.Interface
	handle              nvml.Device
	index               int
	uuid, model, driver string
	has                 map[string]bool
}

func (g *realGPU) UUID() string { return g.uuid }

// ask makes a call if the driver has it, and turns its answer into an error.
func (g *realGPU) ask(symbol string, call func() nvml.Return) error {
	if !g.has[symbol] {
		return fmt.Errorf("%s: %w", symbol, errAbsent)
	}
	return g.failure(call())
}

func (g *realGPU) failure(r nvml.Return) error {
	switch r {
	case nvml.SUCCESS:
		return nil
	case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_FUNCTION_NOT_FOUND, nvml.ERROR_INVALID_ARGUMENT:
		// Hopper answers "invalid argument" for scopes that it lacks.
		return fmt.Errorf("%s: %w", g.lib.ErrorString(r), errAbsent)
	case nvml.ERROR_NO_PERMISSION:
		return fmt.Errorf("%s: %w", g.lib.ErrorString(r), errPermission)
	case nvml.ERROR_GPU_IS_LOST, nvml.ERROR_DRIVER_NOT_LOADED, nvml.ERROR_UNINITIALIZED, nvml.ERROR_RESET_REQUIRED:
		return fmt.Errorf("%s: %w", g.lib.ErrorString(r), errLost)
	}
	return fmt.Errorf("NVML: %s", g.lib.ErrorString(r))
}

func (g *realGPU) EnergyMilliJ() (value uint64, err error) {
	err = g.ask("nvmlDeviceGetTotalEnergyConsumption", func() (r nvml.Return) { value, r = g.handle.GetTotalEnergyConsumption(); return r })
	return value, err
}

func (g *realGPU) PlainMilliW() (uint64, error) {
	var value uint32
	err := g.ask("nvmlDeviceGetPowerUsage", func() (r nvml.Return) { value, r = g.handle.GetPowerUsage(); return r })
	return uint64(value), err
}

func (g *realGPU) PowerRing(lastUs uint64) ([]ringSample, error) {
	var kind nvml.ValueType
	var raw []nvml.Sample
	err := g.ask("nvmlDeviceGetSamples", func() (r nvml.Return) {
		kind, raw, r = g.handle.GetSamples(nvml.TOTAL_POWER_SAMPLES, lastUs)
		if r == nvml.ERROR_NOT_FOUND {
			raw, r = nil, nvml.SUCCESS // nothing new
		}
		return r
	})
	samples := make([]ringSample, 0, len(raw))
	for _, s := range raw {
		value, err := decode(uint32(kind), s.SampleValue)
		if err != nil {
			value = noMilliW
		}
		samples = append(samples, ringSample{WallUs: s.TimeStamp, MilliW: value})
	}
	return samples, err
}

func (g *realGPU) Fields(ask ...field) []fieldValue {
	answer := make([]fieldValue, len(ask))
	raw := make([]nvml.FieldValue, len(ask))
	for i, f := range ask {
		raw[i].FieldId, raw[i].ScopeId = f.ID, f.Scope
	}
	err := g.ask("nvmlDeviceGetFieldValues", func() nvml.Return { return g.handle.GetFieldValues(raw) })
	for i, v := range raw {
		if answer[i].Err = err; err == nil {
			answer[i].Err = g.failure(nvml.Return(v.NvmlReturn))
		}
		if answer[i].Err == nil {
			answer[i].Value, answer[i].Err = decode(v.ValueType, v.Value)
		}
	}
	return answer
}
