//go:build linux && cgo

package nvml

import (
	"math"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/llenergymeasure/llem/core/device"
)

// number asks for a number; nil where it is not told.
func number[T uint32 | uint64](g *realGPU, symbol string, call func() (T, nvml.Return)) (*int64, error) {
	var value T
	err := g.ask(symbol, func() (r nvml.Return) { value, r = call(); return r })
	if err != nil || uint64(value) > math.MaxInt64 {
		return nil, err
	}
	n := int64(value)
	return &n, nil
}

// milliW is number for a power limit, where 0 means that there is none.
func milliW(g *realGPU, symbol string, call func() (uint32, nvml.Return)) (*int64, error) {
	n, err := number(g, symbol, call)
	if n != nil && *n == 0 {
		return nil, errAbsent
	}
	return n, err
}

func (g *realGPU) Facts() device.Facts {
	f := device.Facts{UUID: g.uuid, Index: g.index, Model: g.model, Driver: g.driver, Absent: map[string]string{}}
	note := func(name string, err error) {
		if err != nil {
			f.Absent[name] = absentReason(err)
		}
	}
	if f.Model == "" {
		note("model", errAbsent)
	}
	if f.Driver == "" {
		note("driver", errAbsent)
	}
	var arch nvml.DeviceArchitecture
	err := g.ask("nvmlDeviceGetArchitecture", func() (r nvml.Return) { arch, r = g.handle.GetArchitecture(); return r })
	f.Architecture = architectures[uint32(arch)]
	if err == nil && f.Architecture == "" {
		err = errAbsent
	}
	note("architecture", err)
	note("vbios", g.ask("nvmlDeviceGetVbiosVersion", func() (r nvml.Return) { f.VBIOS, r = g.handle.GetVbiosVersion(); return r }))

	f.Persistence, err = enabled(g, "nvmlDeviceGetPersistenceMode", g.handle.GetPersistenceMode)
	note("persistence", err)
	f.ECC, err = enabled(g, "nvmlDeviceGetEccMode", func() (nvml.EnableState, nvml.Return) {
		current, _, r := g.handle.GetEccMode()
		return current, r
	})
	note("ecc", err)
	f.MIG, err = enabled(g, "nvmlDeviceGetMigMode", func() (nvml.EnableState, nvml.Return) {
		current, _, r := g.handle.GetMigMode()
		return nvml.EnableState(current), r
	})
	note("mig", err)
	if f.MIG != nil && *f.MIG {
		n := len(g.migUUIDs())
		f.MIGInstances = &n
	} else {
		note("mig_instances", errAbsent)
	}
	var mode nvml.GpuVirtualizationMode
	err = g.ask("nvmlDeviceGetVirtualizationMode", func() (r nvml.Return) { mode, r = g.handle.GetVirtualizationMode(); return r })
	if note("virtual", err); err == nil {
		share := mode == nvml.GPU_VIRTUALIZATION_MODE_VGPU
		f.Virtual = &share
	}

	f.DefaultLimitMilliW, err = milliW(g, "nvmlDeviceGetPowerManagementDefaultLimit", g.handle.GetPowerManagementDefaultLimit)
	note("default_limit_mw", err)
	const constraints = "nvmlDeviceGetPowerManagementLimitConstraints"
	f.LeastLimitMilliW, err = milliW(g, constraints, func() (uint32, nvml.Return) {
		least, _, r := g.handle.GetPowerManagementLimitConstraints()
		return least, r
	})
	note("least_limit_mw", err)
	f.MostLimitMilliW, err = milliW(g, constraints, func() (uint32, nvml.Return) {
		_, most, r := g.handle.GetPowerManagementLimitConstraints()
		return most, r
	})
	note("most_limit_mw", err)
	return f
}

func enabled(g *realGPU, symbol string, call func() (nvml.EnableState, nvml.Return)) (*bool, error) {
	var state nvml.EnableState
	if err := g.ask(symbol, func() (r nvml.Return) { state, r = call(); return r }); err != nil {
		return nil, err
	}
	on := state == nvml.FEATURE_ENABLED
	return &on, nil
}

// migUUIDs lists the MIG instances.
func (g *realGPU) migUUIDs() []string {
	if !g.has["nvmlDeviceGetMigDeviceHandleByIndex"] {
		return nil
	}
	var most int
	if g.ask("nvmlDeviceGetMaxMigDeviceCount", func() (r nvml.Return) { most, r = g.handle.GetMaxMigDeviceCount(); return r }) != nil {
		return nil
	}
	var list []string
	for i := range most {
		part, r := g.handle.GetMigDeviceHandleByIndex(i)
		if r != nvml.SUCCESS {
			continue // places may be empty
		}
		if uuid, r := part.GetUUID(); r == nvml.SUCCESS {
			list = append(list, uuid)
		}
	}
	return list
}

func (g *realGPU) Reading() device.Reading {
	var out device.Reading
	// An error leaves nil, which means that it is not known.
	out.TemperatureC, _ = number(g, "nvmlDeviceGetTemperature", func() (uint32, nvml.Return) { return g.handle.GetTemperature(nvml.TEMPERATURE_GPU) })
	out.SMClockMHz, _ = number(g, "nvmlDeviceGetClockInfo", func() (uint32, nvml.Return) { return g.handle.GetClockInfo(nvml.CLOCK_SM) })
	out.MemoryClockMHz, _ = number(g, "nvmlDeviceGetClockInfo", func() (uint32, nvml.Return) { return g.handle.GetClockInfo(nvml.CLOCK_MEM) })
	out.UtilisationPct, _ = number(g, "nvmlDeviceGetUtilizationRates", func() (uint32, nvml.Return) {
		rates, r := g.handle.GetUtilizationRates()
		return rates.Gpu, r
	})
	out.LimitMilliW, _ = milliW(g, "nvmlDeviceGetEnforcedPowerLimit", g.handle.GetEnforcedPowerLimit)
	symbol, call := "nvmlDeviceGetCurrentClocksEventReasons", g.handle.GetCurrentClocksEventReasons
	if !g.has[symbol] { // its name before driver 535
		symbol, call = "nvmlDeviceGetCurrentClocksThrottleReasons", g.handle.GetCurrentClocksThrottleReasons
	}
	var mask uint64
	if g.ask(symbol, func() (r nvml.Return) { mask, r = call(); return r }) == nil {
		out.Reasons = &mask
	}
	return out
}

func (g *realGPU) Snapshot() device.Snapshot {
	var out device.Snapshot
	out.ECCUncorrected, _ = number(g, "nvmlDeviceGetTotalEccErrors", func() (uint64, nvml.Return) {
		return g.handle.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC)
	})
	var pending bool
	if g.ask("nvmlDeviceGetRemappedRows", func() (r nvml.Return) { _, _, pending, _, r = g.handle.GetRemappedRows(); return r }) == nil {
		out.RowRemapPending = &pending
	}
	out.MemoryUsedBytes, _ = number(g, "nvmlDeviceGetMemoryInfo", func() (uint64, nvml.Return) {
		memory, r := g.handle.GetMemoryInfo()
		return memory.Used, r
	})
	known := false
	list := []device.Process{}
	for _, kind := range []struct {
		name, symbol string
		call         func() ([]nvml.ProcessInfo, nvml.Return)
	}{
		{"compute", "nvmlDeviceGetComputeRunningProcesses", g.handle.GetComputeRunningProcesses},
		{"graphics", "nvmlDeviceGetGraphicsRunningProcesses", g.handle.GetGraphicsRunningProcesses},
		{"mps", "nvmlDeviceGetMPSComputeRunningProcesses", g.handle.GetMPSComputeRunningProcesses},
	} {
		var processes []nvml.ProcessInfo
		if g.ask(kind.symbol, func() (r nvml.Return) { processes, r = kind.call(); return r }) != nil {
			continue
		}
		// Without the compute list the others do not tell who uses the GPU.
		known = known || kind.name == "compute"
		for _, p := range processes {
			list = append(list, device.Process{PID: int(p.Pid), Kind: kind.name})
		}
	}
	if known {
		out.Processes = list
	}
	return out
}

// architectures are nvml.h's NVML_DEVICE_ARCH_*.
var architectures = map[uint32]string{
	nvml.DEVICE_ARCH_KEPLER: "kepler", nvml.DEVICE_ARCH_MAXWELL: "maxwell", nvml.DEVICE_ARCH_PASCAL: "pascal",
	nvml.DEVICE_ARCH_VOLTA: "volta", nvml.DEVICE_ARCH_TURING: "turing", nvml.DEVICE_ARCH_AMPERE: "ampere",
	nvml.DEVICE_ARCH_ADA: "ada", nvml.DEVICE_ARCH_HOPPER: "hopper", nvml.DEVICE_ARCH_BLACKWELL: "blackwell",
	nvml.DEVICE_ARCH_RUBIN: "rubin",
}
