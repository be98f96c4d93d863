package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/plugins/ggml/internal/engine"
	"github.com/llenergymeasure/llem/sdk"
)

// report tells what was loaded, as the engine and the file have it.
func report(e *engine.Engine, s settings, modelID, digest string, instructions []string) sdk.LoadReport {
	o, version := e.Options, engineVersion()
	capacity := o.KVCells()
	r := sdk.LoadReport{
		Engine: "ggml", EngineVersion: version,
		Packages: []sdk.Package{
			{Name: engine.Module, Version: version},
			{Name: "CPU instructions of the kernels", Version: strings.Join(instructions, " ")},
		},
		Resolved: sdk.Table{
			"threads": int64(o.Threads), "batch_size": int64(o.BatchSize), "kv_type": string(o.KVType),
			"context": int64(o.Context), "flash_attention": o.FlashAttention,
		},
		Model:            identity(e.Facts, s, modelID, digest),
		KVCapacityTokens: &capacity,
		Devices:          []sdk.DeviceUse{{ID: "cpu", Kind: "cpu", PID: int64(os.Getpid())}},
		Edge:             sdk.EdgeQuiesced,
		MaxCancelMs:      cancelMs(e.Facts, o),
	}
	// A file may have types that random weights cannot have; the model's
	// identity names them all.
	if slices.Contains(dummy.WeightTypes(), dummy.WeightType(e.Facts.WeightType)) {
		r.Resolved["weight_type"] = e.Facts.WeightType
	}
	if engine.SlowBuild() {
		r.Warnings = append(r.Warnings, sdk.Warning{
			Code: "slow_build",
			Message: "the kernels were compiled without this CPU's vector instructions and may be 20 times slower than they could be; " +
				"build the plugin with -march=x86-64-v3 in CGO_CFLAGS and CGO_CXXFLAGS",
		})
	}
	return r
}

// identity says which model it is. Files that were quantised from one model
// usually keep its name; the number of parameters guards against others that
// happen to have the same.
func identity(f engine.Facts, s settings, modelID, digest string) sdk.ModelIdentity {
	m := sdk.ModelIdentity{
		ArtifactDigest: "sha256:" + digest,
		Parameters:     &f.Parameters,
		Layers:         count(f.Layers), Heads: count(f.Heads), KVHeads: count(f.KVHeads), Vocab: count(f.Vocab),
		WeightType:    f.WeightType,
		RandomWeights: s.path == "",
	}
	switch {
	case s.path == "":
		m.Base = modelID + ", random weights"
	case f.Name != "":
		m.Base = fmt.Sprintf("%s (%s, %d parameters)", f.Name, f.Architecture, f.Parameters)
	}
	if strings.HasPrefix(f.WeightType, "q") {
		m.Quantisation = f.WeightType
	}
	return m
}

func count(n int) *uint32 {
	u := uint32(n)
	return &u
}

// engineVersion is the version of the engine's module in this binary.
func engineVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == engine.Module {
				return module.Version
			}
		}
	}
	return "unknown"
}
