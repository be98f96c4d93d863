package openaiserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// deviceKey is the parameter by which a study says what a server computes on. The kit
// has it for attached servers of engines that have none of their own.
const deviceKey = "device"

// kernelDrivers are there with a driver of GPUs, whether or not its programs are found.
var kernelDrivers = []string{"/proc/driver/nvidia/version", "/dev/kfd"}

// findAttached names what a server computes on that was running before: the GPUs on
// which the driver shows the processes that listen at its address, and what came of
// them. Joules of other devices would be a wrong number. So where the kernel or the
// driver does not tell, the study has to say, by device and CUDA_VISIBLE_DEVICES, and
// the result warns; or there is no load.
func (b *backend) findAttached(ctx context.Context, req sdk.LoadRequest, report *sdk.LoadReport) error {
	told := report.Resolved.String(deviceKey, "") // by the server
	device := cmp.Or(told, req.Cell.Parameters.String(deviceKey, ""))
	at := b.whoAnswers(ctx)
	report.Devices = at.cpu()
	if told == "cpu" {
		return nil
	}
	need := b.needOf(req.Cell, report.Resolved)
	onGPUs := device != "" && device != "cpu" || need.Min > 0
	all, err := installedGPUs(ctx)
	none := err == nil && len(all) == 0 || errors.Is(err, exec.ErrNotFound) && !slices.ContainsFunc(kernelDrivers, exists)
	var held []sdk.DeviceUse
	switch {
	case none:
		at.reason = "no NVIDIA GPU is found here"
	case err != nil:
		at.reason = err.Error()
	case len(at.family) > 0:
		if held, err = holders(ctx, uuids(all), at.family); err != nil {
			at.reason = err.Error()
		}
	}
	switch {
	case len(held) > 0 && len(held) >= int(need.Min):
		report.Devices = append(held, report.Devices...)
		report.Resolved[deviceKey] = "cuda"
		return nil
	case len(held) > 0:
		at.reason = fmt.Sprintf("its processes here hold %d of the %d GPUs that it computes on", len(held), need.Min)
	case !onGPUs && (device == "cpu" || none && at.own):
		if len(at.family) == 0 {
			b.assume(report, at.reason, "the joules are those of the CPUs that the study's energy sources read")
		}
		report.Resolved[deviceKey] = "cpu"
		return nil
	}
	if none || !onGPUs || device != "" && device != "cuda" {
		return b.nowhere(at.reason)
	}
	gpus, which, err := b.meant(all, at, need)
	if err != nil {
		return b.nowhere(at.reason + "; " + err.Error())
	}
	b.assume(report, at.reason, fmt.Sprintf("it is taken to hold %s: %s", which, strings.Join(gpus, ", ")))
	report.Devices = append(gpuUses(gpus, at.front()), report.Devices...)
	report.Resolved[deviceKey] = "cuda"
	return nil
}

// meant are the GPUs of which the study says that the server holds them: all that
// CUDA_VISIBLE_DEVICES names, or, without it, the only one of the server's host.
func (b *backend) meant(all []sdk.InstalledGPU, at answering, need sdk.DeviceNeed) (gpus []string, which string, err error) {
	value, set := os.LookupEnv(visibleKey)
	gpus, note := sdk.VisibleGPUs(value, all)
	switch {
	case !set && len(all) == 1 && at.own && need.Min <= 1:
		return uuids(all), "the only one of this host", nil
	case !set:
		return nil, "", fmt.Errorf("%s does not say which of %d GPUs it holds", visibleKey, len(all))
	case note != "":
		return nil, "", errors.New(note)
	case len(gpus) == 0 || len(gpus) < int(need.Min):
		return nil, "", fmt.Errorf("%s=%q names %d GPUs of this host, and it computes on %d at least", visibleKey, value, len(gpus), max(1, need.Min))
	}
	return gpus, "those of " + visibleKey, nil
}

// needOf is what the server needs by what it says of itself, and by the study besides.
func (b *backend) needOf(cell sdk.Cell, resolved sdk.Table) sdk.DeviceNeed {
	parameters := maps.Clone(cell.Parameters)
	if parameters == nil {
		parameters = sdk.Table{}
	}
	maps.Copy(parameters, resolved)
	cell.Parameters = parameters
	return b.gpuNeed(cell)
}

// answering are the processes behind a server's address.
type answering struct {
	own            bool  // the address is one of this host
	fronts, family []int // that listen there; with all that came of them
	reason         string
}

// front is one of those that listen, 0 if none is known.
func (a answering) front() int64 {
	if len(a.fronts) == 0 {
		return 0
	}
	return int64(a.fronts[0])
}

// cpu is what a server uses of a host beside GPUs, or without any.
func (a answering) cpu() (uses []sdk.DeviceUse) {
	for _, pid := range a.fronts {
		uses = append(uses, sdk.DeviceUse{ID: "cpu", Kind: "cpu", PID: int64(pid)})
	}
	if len(uses) == 0 {
		return []sdk.DeviceUse{{ID: "cpu", Kind: "cpu"}}
	}
	return uses
}

// whoAnswers are the processes behind the server's address; reason says why they or
// their GPUs may not be known.
func (b *backend) whoAnswers(ctx context.Context) (a answering) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	at, own, err := reached(ctx, b.server.URL)
	switch {
	case err != nil:
		return answering{reason: err.Error()}
	case !own:
		return answering{reason: at.IP.String() + " is no address of this host"}
	}
	fronts, family, sockets := listeners(at)
	switch {
	case sockets == 0:
		return answering{own: true, reason: "nothing in llem's network namespace listens there"}
	case len(family) == 0:
		return answering{own: true, reason: "the kernel does not tell this user which process listens there"}
	case slices.Contains(family, os.Getpid()) || slices.Contains(family, 1):
		// A manager of sockets, or a proxy that starts programs, is not the server.
		return answering{own: true, reason: fmt.Sprintf("process %d, which listens there, is one that llem itself came of", fronts[0])}
	}
	return answering{own: true, fronts: fronts, family: family,
		reason: fmt.Sprintf("the driver shows neither process %d, which listens there, nor one that came of it on any GPU", fronts[0])}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (b *backend) assume(report *sdk.LoadReport, reason, what string) {
	report.Warnings = append(report.Warnings, sdk.Warning{Code: "devices_assumed", KeyPath: deviceKey,
		Message: fmt.Sprintf("it is not known what the server at %s computes on: %s; %s", b.server.URL, reason, what)})
}

// nowhere is the error of a load of which nobody knows what it computes on.
func (b *backend) nowhere(reason string) error {
	return &sdk.Error{
		Code: sdk.DeviceMissing, KeyPath: deviceKey, Message: reason, Phase: "find what the server at " + b.server.URL + " computes on",
		Advice: "run llem on the server's host, as its user or as root, against the address at which it listens itself; " +
			`or say device = "cpu", or device = "cuda" and name its GPUs, which must be this host's, in ` + visibleKey,
	}
}
