//go:build !linux || !cgo

package nvml

import "github.com/llenergymeasure/llem/sdk"

func loadLibrary() (driver, error) {
	return driver{}, &sdk.Error{
		Code: sdk.DeviceMissing, Phase: phaseOpen, Message: "no NVML in this build",
		Advice: "build llem with CGO_ENABLED=1 on Linux to measure NVIDIA GPUs",
	}
}
