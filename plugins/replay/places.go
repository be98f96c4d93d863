package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// places says which GPU a recorded one stands for. What a backend holds here has
// another id than the recorded card, and no result could have the card's energy.
type places map[string]string

// newPlaces gives the recorded GPUs the named ids, in the order of the recording. A
// number of names that differs is refused: somebody would have to guess the rest.
func newPlaces(path string, all []recording, chosen []int, named []any) (places, error) {
	if len(named) == 0 {
		return nil, nil
	}
	var recorded, names []string
	for _, i := range chosen {
		if d := all[i].Domain; onGPU(d.Kind) {
			for _, id := range d.DeviceIDs {
				if !slices.Contains(recorded, id) {
					recorded = append(recorded, id)
				}
			}
		}
	}
	refuse := func(message string) error {
		return &sdk.Error{
			Code: sdk.UnsupportedParameter, KeyPath: "devices", Message: message,
			Advice: "name one GPU of the backend for each of the recording's: " + strings.Join(recorded, ", "),
		}
	}
	if len(recorded) == 0 {
		return nil, &sdk.Error{
			Code: sdk.UnsupportedParameter, KeyPath: "devices", Message: fmt.Sprintf("the recording %s has no GPU", path),
			Advice: "take `devices` out, or choose domains of a GPU",
		}
	}
	if len(named) != len(recorded) {
		return nil, refuse(fmt.Sprintf("the recording %s has %d GPUs and `devices` names %d", path, len(recorded), len(named)))
	}
	p := places{}
	for i, name := range named {
		id := name.(string)
		if id == "" || slices.Contains(names, id) {
			return nil, refuse(fmt.Sprintf("`devices` names %q twice, or nothing", id))
		}
		names = append(names, id)
		p[recorded[i]] = id
	}
	return p, nil
}

// of is the devices of a domain in this place.
func (p places) of(d sdk.Domain) []string {
	if p == nil || !onGPU(string(d.Kind)) {
		return d.DeviceIDs
	}
	ids := make([]string, len(d.DeviceIDs))
	for i, id := range d.DeviceIDs {
		ids[i] = p[id]
	}
	return ids
}

// onGPU tells whether a kind's devices are those that a backend holds. A module has a
// GPU in it.
func onGPU(kind string) bool {
	switch sdk.DomainKind(kind) {
	case sdk.DomainGPU, sdk.DomainGPUMemory, sdk.DomainModule:
		return true
	}
	return false
}
