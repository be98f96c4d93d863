package openaiserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
)

// findGPUs names the GPUs that a server started here holds where the load named none: those
// that the driver says its processes compute on, or else, with a warning, those
// that CUDA would have given it. It comes after ReadBack, which may know that the
// server does not use any.
func (b *backend) findGPUs(ctx context.Context, req sdk.LoadRequest, report *sdk.LoadReport) {
	if len(req.DeviceIDs) > 0 || b.engine.Devices == nil || report.Resolved.String(deviceKey, "") == "cpu" {
		return
	}
	need := b.gpuNeed(req.Cell)
	if need.Max == 0 {
		return
	}
	all, err := installedGPUs(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return // no driver, no GPU
	}
	var held []sdk.DeviceUse
	if err == nil {
		held, err = holders(ctx, uuids(all), b.members())
	}
	if len(held) > 0 {
		report.Devices = held
		return
	}
	if need.Min == 0 && report.Resolved.String(deviceKey, "") != "cuda" {
		return
	}
	reason := "the driver shows no process of the server on any GPU, as inside containers"
	if err != nil {
		reason = err.Error()
	}
	assumed := uuids(all)
	if value, set := b.visibleValue(); set {
		assumed, _ = sdk.VisibleGPUs(value, all)
	}
	count := int(need.Min)
	if count == 0 {
		count = int(need.Max) // the engine runs on GPUs: on as many as it was told
	}
	assumed = assumed[:min(count, len(assumed))]
	if len(assumed) > 0 {
		report.Devices = gpuUses(assumed, int64(b.server.PID))
	}
	message := "it is not known which GPUs the server holds: " + reason
	if len(assumed) > 0 {
		message += fmt.Sprintf("; it is taken to hold the first %d that CUDA shows it: %s", len(assumed), strings.Join(assumed, ", "))
	}
	report.Warnings = append(report.Warnings, sdk.Warning{Code: "devices_assumed", Message: message})
}

// gpuNeed is what a cell needs of GPUs.
func (b *backend) gpuNeed(cell sdk.Cell) (need sdk.DeviceNeed) {
	for _, n := range b.engine.Devices(cell) {
		if n.Kind == "gpu" {
			need = n
		}
	}
	return need
}

// gpuUses are GPUs that one process is taken to hold, in the order of their ranks.
func gpuUses(ids []string, pid int64) (uses []sdk.DeviceUse) {
	for rank, id := range ids {
		uses = append(uses, sdk.DeviceUse{ID: id, Kind: "gpu", Rank: uint32(rank), PID: pid})
	}
	return uses
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
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("nvidia-smi %s: no answer in %s; try it by hand", strings.Join(arguments, " "), smiWait)
	case err != nil:
		return "", fmt.Errorf("nvidia-smi %s: %w: %s", strings.Join(arguments, " "), err, strings.TrimSpace(string(text)))
	}
	return string(text), nil
}

// visibleValue is what the server's environment says of its GPUs. A container does
// not inherit this process's.
func (b *backend) visibleValue() (value string, set bool) {
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
