package nvml

import (
	"slices"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// installed are the cards as sdk.VisibleGPUs wants them, in NVML's order.
func installed(cards []card) (all []sdk.InstalledGPU) {
	for _, c := range cards {
		all = append(all, sdk.InstalledGPU{UUID: c.UUID, MIG: c.MIG})
	}
	return all
}

// namesIndex tells whether any entry is an index.
func namesIndex(value string) bool {
	return slices.ContainsFunc(strings.Split(value, ","), func(entry string) bool {
		_, err := strconv.Atoi(strings.TrimSpace(entry))
		return err == nil
	})
}
