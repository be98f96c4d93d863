package sdk

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// InstalledGPU is a GPU of this machine and the MIG instances made of it, by UUID.
type InstalledGPU struct {
	UUID string
	MIG  []string
}

// VisibleGPUs resolves the value of CUDA_VISIBLE_DEVICES to the UUIDs of physical
// GPUs, in the order given. Entries are indices, UUIDs or their unambiguous
// beginnings (GPU-8932f937), and MIG instances in the forms MIG-<uuid> and
// MIG-GPU-<uuid>/<gi>/<ci>, which stand for their GPU. Like CUDA it stops at the
// first entry that names nothing; note tells about that.
//
// Indices count in the order of installed, the driver's, which is that of the PCI
// bus and CUDA's where all GPUs are alike or CUDA_DEVICE_ORDER=PCI_BUS_ID.
func VisibleGPUs(value string, installed []InstalledGPU) (uuids []string, note string) {
	if strings.TrimSpace(value) == "" {
		return nil, ""
	}
	for entry := range strings.SplitSeq(value, ",") {
		uuid, why := resolveGPU(strings.TrimSpace(entry), installed)
		if why != "" {
			return uuids, fmt.Sprintf("CUDA_VISIBLE_DEVICES=%q: %s; CUDA ignores this entry and all behind it", value, why)
		}
		if !slices.Contains(uuids, uuid) {
			uuids = append(uuids, uuid)
		}
	}
	return uuids, ""
}

// resolveGPU finds the one GPU of an entry, or says why there is none.
func resolveGPU(entry string, installed []InstalledGPU) (uuid, why string) {
	if i, err := strconv.Atoi(entry); err == nil {
		if i < 0 || i >= len(installed) {
			return "", fmt.Sprintf("there is no GPU %d among %d", i, len(installed))
		}
		return installed[i].UUID, ""
	}
	name, mig := entry, strings.HasPrefix(entry, "MIG-")
	if inside, old := strings.CutPrefix(entry, "MIG-GPU-"); old {
		name, mig = "GPU-"+inside, false
		name, _, _ = strings.Cut(name, "/")
	}
	if !mig && !strings.HasPrefix(name, "GPU-") || len(name) <= len("GPU-") {
		return "", fmt.Sprintf("%q is neither an index nor a UUID", entry)
	}
	var found []string
	for _, gpu := range installed {
		names := []string{gpu.UUID}
		if mig {
			names = gpu.MIG
		}
		for _, n := range names {
			if strings.HasPrefix(n, name) {
				found = append(found, gpu.UUID)
			}
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Sprintf("no GPU here is called %q", entry)
	case 1:
		return found[0], ""
	}
	return "", fmt.Sprintf("%q is the beginning of %d UUIDs", entry, len(found))
}
