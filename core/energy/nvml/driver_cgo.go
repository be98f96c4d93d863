//go:build linux && cgo

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/llenergymeasure/llem/sdk"
)

// loadLibrary loads libnvidia-ml. After a failed Init no further NVML call is
// made: one would end the process.
func loadLibrary() ([]gpu, func(), error) {
	lib := nvml.New()
	if r := lib.Init(); r != nvml.SUCCESS {
		advice := "install the NVIDIA driver, or measure another source"
		if r == nvml.ERROR_LIBRARY_NOT_FOUND {
			return nil, nil, &sdk.Error{Code: sdk.DeviceMissing, Phase: "open nvml", Message: "libnvidia-ml.so.1 is not on this machine", Advice: advice}
		}
		return nil, nil, &sdk.Error{Code: sdk.DeviceMissing, Phase: "open nvml", Message: fmt.Sprintf("NVML does not start (%d)", r), Advice: "run `nvidia-smi` to see why"}
	}
	shutdown := func() { _ = lib.Shutdown() } // the process is done with it, whatever it says
	fail := func(what string, r nvml.Return) ([]gpu, func(), error) {
		message := fmt.Sprintf("%s: %v", what, lib.ErrorString(r))
		shutdown()
		return nil, nil, &sdk.Error{Code: sdk.DeviceMissing, Phase: "open nvml", Message: message, Advice: "run `nvidia-smi` to see why"}
	}
	count, r := lib.DeviceGetCount()
	if r != nvml.SUCCESS {
		return fail("count GPUs", r)
	}
	hasRing := lib.Extensions().LookupSymbol("nvmlDeviceGetSamples") == nil
	hasCounter := lib.Extensions().LookupSymbol("nvmlDeviceGetTotalEnergyConsumption") == nil
	var gpus []gpu
	for i := range count {
		handle, r := lib.DeviceGetHandleByIndex(i)
		if r != nvml.SUCCESS {
			return fail(fmt.Sprintf("open GPU %d", i), r)
		}
		uuid, r := handle.GetUUID()
		if r != nvml.SUCCESS {
			return fail(fmt.Sprintf("read the UUID of GPU %d", i), r)
		}
		model, r := handle.GetName()
		if r != nvml.SUCCESS {
			model = "unknown GPU"
		}
		gpus = append(gpus, &device{lib: lib, handle: handle, uuid: uuid, model: model, hasRing: hasRing, hasCounter: hasCounter})
	}
	return gpus, shutdown, nil
}

// device is a gpu behind the real library.
type device struct {
	lib                 nvml.Interface
	handle              nvml.Device
	uuid, model         string
	hasRing, hasCounter bool
}

func (d *device) UUID() string  { return d.uuid }
func (d *device) Model() string { return d.model }

func (d *device) EnergyMilliJ() (uint64, error) {
	if !d.hasCounter {
		return 0, fmt.Errorf("this driver has no energy counter call")
	}
	value, r := d.handle.GetTotalEnergyConsumption()
	if r != nvml.SUCCESS {
		return 0, fmt.Errorf("%v", d.lib.ErrorString(r))
	}
	return value, nil
}

func (d *device) PowerRing(lastUs uint64) ([]ringSample, error) {
	if !d.hasRing {
		return nil, fmt.Errorf("this driver has no sample ring call")
	}
	kind, raw, r := d.handle.GetSamples(nvml.TOTAL_POWER_SAMPLES, lastUs)
	if r == nvml.ERROR_NOT_FOUND {
		return nil, nil // nothing new
	}
	if r != nvml.SUCCESS {
		return nil, fmt.Errorf("%v", d.lib.ErrorString(r))
	}
	if kind != nvml.VALUE_TYPE_UNSIGNED_INT {
		return nil, fmt.Errorf("samples have value type %d, expected unsigned int", kind)
	}
	samples := make([]ringSample, 0, len(raw))
	for _, s := range raw {
		if s.TimeStamp == 0 {
			continue // the binding does not cut the unused end off
		}
		samples = append(samples, ringSample{WallUs: s.TimeStamp, MilliW: uint64(littleEndian32(s.SampleValue))})
	}
	return samples, nil
}

func littleEndian32(b [8]byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
