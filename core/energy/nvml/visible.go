package nvml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// visible resolves the value of CUDA_VISIBLE_DEVICES to the UUIDs of physical
// GPUs, in the order given. Entries are indices, UUIDs or their unambiguous
// beginnings (GPU-8932f937), and MIG instances in the forms MIG-<uuid> and
// MIG-GPU-<uuid>/<gi>/<ci>, which stand for their GPU. Like CUDA it stops at the
// first entry that names nothing; note tells about that.
//
// Indices count in NVML's order, that of the PCI bus, which is CUDA's order where
// all GPUs are alike or CUDA_DEVICE_ORDER=PCI_BUS_ID.
func visible(value string, cards []card) (uuids []string, note string) {
	for entry := range strings.SplitSeq(value, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" && strings.TrimSpace(value) == "" {
			return nil, ""
		}
		uuid, why := resolve(entry, cards)
		if why != "" {
			return uuids, fmt.Sprintf("CUDA_VISIBLE_DEVICES=%q: %s; CUDA ignores this entry and all behind it", value, why)
		}
		if !slices.Contains(uuids, uuid) {
			uuids = append(uuids, uuid)
		}
	}
	return uuids, ""
}

// namesIndex tells whether any entry is an index.
func namesIndex(value string) bool {
	return slices.ContainsFunc(strings.Split(value, ","), func(entry string) bool {
		_, err := strconv.Atoi(strings.TrimSpace(entry))
		return err == nil
	})
}

// resolve finds the one card of an entry, or says why there is none.
func resolve(entry string, cards []card) (uuid, why string) {
	if i, err := strconv.Atoi(entry); err == nil {
		if i < 0 || i >= len(cards) {
			return "", fmt.Sprintf("there is no GPU %d among %d", i, len(cards))
		}
		return cards[i].UUID, ""
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
	for _, c := range cards {
		names := []string{c.UUID}
		if mig {
			names = c.MIG
		}
		for _, n := range names {
			if strings.HasPrefix(n, name) {
				found = append(found, c.UUID)
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
