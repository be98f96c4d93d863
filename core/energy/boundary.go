package energy

import (
	"slices"
	"strconv"
	"strings"
)

// Part is one kind of device inside a Boundary.
type Part struct {
	Kind      string   `json:"kind"`
	DeviceIDs []string `json:"device_ids,omitempty"`
	Estimated bool     `json:"estimated,omitempty"`
}

// Boundary is what a number of joules covers. Numbers of different boundaries are
// never compared, ranked or added.
type Boundary struct {
	// Parts are sorted and free of repeats; make a Boundary with BoundaryOf.
	Parts []Part `json:"parts"`
}

// BoundaryOf is the boundary of the sum of some domains.
func BoundaryOf(domains ...Domain) Boundary {
	var b Boundary
	for _, d := range domains {
		i := slices.IndexFunc(b.Parts, func(p Part) bool { return p.Kind == d.Kind && p.Estimated == d.Estimated })
		if i < 0 {
			i = len(b.Parts)
			b.Parts = append(b.Parts, Part{Kind: d.Kind, Estimated: d.Estimated})
		}
		ids := d.DeviceIDs
		if len(ids) == 0 {
			ids = []string{d.ID}
		}
		b.Parts[i].DeviceIDs = append(b.Parts[i].DeviceIDs, ids...)
	}
	for i := range b.Parts {
		slices.Sort(b.Parts[i].DeviceIDs)
		b.Parts[i].DeviceIDs = slices.Compact(b.Parts[i].DeviceIDs)
	}
	slices.SortFunc(b.Parts, func(x, y Part) int { return strings.Compare(x.word(), y.word()) })
	return b
}

func (p Part) word() string {
	if p.Estimated {
		return p.Kind + "≈"
	}
	return p.Kind
}

// String is canonical: equal boundaries give equal strings and the reverse, such
// as "gpu[GPU-1,GPU-2]" or "cpu_package≈[host]" (≈ marks modelled joules).
func (b Boundary) String() string {
	var parts []string
	for _, p := range b.Parts {
		ids := make([]string, len(p.DeviceIDs))
		for i, id := range p.DeviceIDs {
			ids[i] = id
			if strings.ContainsAny(id, `,[]"+`) {
				ids[i] = strconv.Quote(id)
			}
		}
		parts = append(parts, p.word()+"["+strings.Join(ids, ",")+"]")
	}
	return strings.Join(parts, "+")
}

// Shape leaves the names of the devices out: "gpu×2", "cpu_package≈×1". Numbers
// may be compared across machines when their shapes agree; the card is then a
// factor of the comparison.
func (b Boundary) Shape() string {
	var parts []string
	for _, p := range b.Parts {
		parts = append(parts, p.word()+"×"+strconv.Itoa(len(p.DeviceIDs)))
	}
	return strings.Join(parts, "+")
}

// Equal reports whether both cover the same devices in the same way.
func (b Boundary) Equal(o Boundary) bool { return b.String() == o.String() }

// Empty reports whether nothing is covered.
func (b Boundary) Empty() bool { return len(b.Parts) == 0 }

// Estimated reports whether any part is modelled.
func (b Boundary) Estimated() bool {
	return slices.ContainsFunc(b.Parts, func(p Part) bool { return p.Estimated })
}
