package openaiserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
)

const (
	smiWait    = 5 * time.Second
	visibleKey = "CUDA_VISIBLE_DEVICES"
	deviceKey  = "device" // of engines that have a choice
)

// findGPUs names the GPUs that the server holds where the load named none: those
// that the driver says its processes compute on, or else, with a warning, those
// that CUDA would have given it. It comes after ReadBack, which may know that the
// server does not use any.
//
// Joules of other devices than the server's would be a wrong number. So where neither
// the kernel nor the driver tells what an attached server computes on, the study has
// to, or there is no load.
func (b *backend) findGPUs(ctx context.Context, req sdk.LoadRequest, report *sdk.LoadReport) error {
	if len(req.DeviceIDs) > 0 || b.engine.Devices == nil {
		return nil
	}
	var need sdk.DeviceNeed
	for _, n := range b.engine.Devices(req.Cell) {
		if n.Kind == "gpu" {
			need = n
		}
	}
	var at place
	if b.process == nil {
		at = b.attachedAt(ctx, req, report)
		report.Devices = cpuOf(at)
	} else {
		at = b.startedAt(report)
	}
	if at.stated == "cpu" || need.Max == 0 {
		if at.elsewhere {
			report.Warnings = append(report.Warnings, sdk.Warning{Code: "devices_assumed",
				Message: "the server's address is none of this host, and the joules are those of the CPUs that the study's energy sources read"})
		}
		return nil
	}
	if at.elsewhere {
		return b.nowhere(at.reason)
	}
	all, err := installedGPUs(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return nil // no driver, no GPU
	}
	var held []sdk.DeviceUse
	if err == nil {
		held, err = holders(ctx, uuids(all), at.members)
	}
	if len(held) > 0 {
		report.Devices = held
		if b.process == nil { // whose front end is no child of this process
			report.Devices = append(held, cpuOf(at)...)
		}
		return nil
	}
	reason := at.reason
	if err != nil {
		reason = err.Error()
	}
	switch {
	case need.Min > 0 || at.stated == "cuda":
		b.assumeGPUs(all, need, reason, report)
	case b.process == nil:
		return b.nowhere(reason)
	}
	return nil
}

// place is what is known of where a server computes.
type place struct {
	stated    string // by the study or the server: "cpu", "cuda"
	elsewhere bool   // on another host
	members   []int  // its processes
	front     int    // the one that others came of, if it is known
	reason    string // why the driver may show none of them on any GPU
}

func (b *backend) startedAt(report *sdk.LoadReport) place {
	return place{
		stated: report.Resolved.String(deviceKey, ""), members: b.members(),
		reason: "the driver shows no process of the server on any GPU, as inside containers",
	}
}

// attachedAt looks for the processes of a server that was not started here.
func (b *backend) attachedAt(ctx context.Context, req sdk.LoadRequest, report *sdk.LoadReport) place {
	at := place{stated: cmp.Or(report.Resolved.String(deviceKey, ""), req.Cell.Parameters.String(deviceKey, ""))}
	ips, port, own := thisHost(ctx, b.server.URL)
	if !own {
		at.elsewhere, at.reason = true, "its address is none of this host"
		return at
	}
	at.members, at.front = listeners(ips, port)
	at.reason = "the driver shows no process that listens there on any GPU, as with containers and proxies"
	if len(at.members) == 0 {
		at.reason = "the kernel does not tell this user which process listens there"
	}
	return at
}

// cpuOf is what a server uses beside GPUs, or without any.
func cpuOf(at place) []sdk.DeviceUse {
	return []sdk.DeviceUse{{ID: "cpu", Kind: "cpu", PID: int64(at.front)}}
}

// nowhere is the error of a load of which nobody knows what it computes on.
func (b *backend) nowhere(reason string) error {
	e := &sdk.Error{
		Code: sdk.DeviceMissing, Phase: "find the devices of the server at " + b.server.URL, Message: reason,
		Advice: "run llem on its host, as its user or as root, against the address at which the server itself listens",
	}
	if slices.ContainsFunc(b.engine.Parameters, func(p Parameter) bool { return p.Key == deviceKey }) {
		e.KeyPath = deviceKey
		e.Advice = `say device = "cpu", or device = "cuda" with its GPUs in CUDA_VISIBLE_DEVICES; or ` + e.Advice
	}
	return e
}

// assumeGPUs takes the first that CUDA shows the server, and warns of it.
func (b *backend) assumeGPUs(all []sdk.InstalledGPU, need sdk.DeviceNeed, reason string, report *sdk.LoadReport) {
	assumed := uuids(all)
	if value, set := b.visibleValue(); set {
		assumed, _ = sdk.VisibleGPUs(value, all)
	}
	count := int(need.Min)
	if count == 0 {
		count = int(need.Max) // the engine runs on GPUs: on as many as it was told
	}
	assumed = assumed[:min(count, len(assumed))]
	var pid int64
	if len(report.Devices) > 0 {
		pid = report.Devices[0].PID
	}
	if len(assumed) > 0 {
		report.Devices = nil
	}
	for rank, id := range assumed {
		report.Devices = append(report.Devices, sdk.DeviceUse{ID: id, Kind: "gpu", Rank: uint32(rank), PID: pid})
	}
	message := "it is not known which GPUs the server holds: " + reason
	if len(assumed) > 0 {
		message += fmt.Sprintf("; it is taken to hold the first %d that CUDA shows it: %s", len(assumed), strings.Join(assumed, ", "))
	}
	report.Warnings = append(report.Warnings, sdk.Warning{Code: "devices_assumed", Message: message})
}

// members are the server's processes. Inside a container they are no descendants
// of the runtime's client.
func (b *backend) members() []int {
	members := b.process.family.Look()
	if b.server.PID != b.process.pid() {
		members = append(members, proc.NewFamily(b.server.PID, b.process.mark).Look()...)
	}
	return members
}

// holders are the GPUs that any of the processes compute on, once each: with the
// first process that the driver names.
func holders(ctx context.Context, all []string, members []int) (held []sdk.DeviceUse, err error) {
	text, err := smi(ctx, "--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader")
	if err != nil {
		return nil, err
	}
	first := map[string]int64{}
	for line := range strings.Lines(text) {
		id, process, _ := strings.Cut(line, ",")
		pid, err := strconv.Atoi(strings.TrimSpace(process))
		if err != nil || !slices.Contains(members, pid) {
			continue // somebody else's, or "[N/A]"
		}
		if id = strings.TrimSpace(id); first[id] == 0 {
			first[id] = int64(pid)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(first), func(a, b string) int { return slices.Index(all, a) - slices.Index(all, b) }) {
		held = append(held, sdk.DeviceUse{ID: id, Kind: "gpu", Rank: uint32(len(held)), PID: first[id]})
	}
	return held, nil
}

// A line of `nvidia-smi -L` names a GPU, or, indented, an instance that MIG has made of
// the GPU above.
var listed = regexp.MustCompile(`^(\s*)\w.*\(UUID: ([^)]+)\)`)

// installedGPUs are all GPUs, in the driver's order.
func installedGPUs(ctx context.Context) (all []sdk.InstalledGPU, err error) {
	text, err := smi(ctx, "-L")
	for line := range strings.Lines(text) {
		switch found := listed.FindStringSubmatch(line); {
		case found == nil:
		case found[1] == "":
			all = append(all, sdk.InstalledGPU{UUID: found[2]})
		case len(all) > 0:
			last := &all[len(all)-1]
			last.MIG = append(last.MIG, found[2])
		}
	}
	return all, err
}

func uuids(gpus []sdk.InstalledGPU) (ids []string) {
	for _, gpu := range gpus {
		ids = append(ids, gpu.UUID)
	}
	return ids
}

// smi asks the driver's own program.
func smi(ctx context.Context, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, smiWait)
	defer cancel()
	command := exec.CommandContext(ctx, "nvidia-smi", arguments...)
	command.WaitDelay = time.Second
	text, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("nvidia-smi %s: %w: %s", strings.Join(arguments, " "), err, strings.TrimSpace(string(text)))
	}
	return string(text), nil
}

// visibleValue is what the server's environment says of its GPUs: of an attached one,
// this process's. A container does not inherit that.
func (b *backend) visibleValue() (value string, set bool) {
	if b.process == nil {
		return os.LookupEnv(visibleKey)
	}
	env := b.process.command.Env
	if b.process.box != nil {
		env = variables(b.settings)
	}
	for _, entry := range slices.Backward(env) { // the last one counts
		if name, value, _ := strings.Cut(entry, "="); name == visibleKey {
			return value, true
		}
	}
	return "", false
}
