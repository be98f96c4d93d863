//go:build !linux || !cgo

package nvml

import "github.com/llenergymeasure/llem/sdk"

func loadLibrary() ([]gpu, func(), error) {
	return nil, nil, &sdk.Error{
		Code: sdk.DeviceMissing, Phase: "open nvml", Message: "no NVML in this build",
		Advice: "build llem with CGO_ENABLED=1 on Linux to measure NVIDIA GPUs",
	}
}
