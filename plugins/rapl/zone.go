package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// zone is one powercap zone with a counter that is worth reading.
type zone struct {
	id      string // of the domain: the kernel's name, made unique
	dir     string
	name    string // as the kernel says: package-0, dram, psys
	parent  string // name of the zone around it, or ""
	kind    sdk.DomainKind
	inside  string // id of the zone that holds this one's energy, or ""
	counter counter
}

// Power that no zone exceeds, with room above the largest parts known (500 W
// packages; a psys may stand for a whole server). A counter that rises faster
// has restarted.
const (
	mostPackageW = 2_000
	mostPlatform = 20_000
)

// controlType is the interface that is read. intel-rapl-mmio shows the same
// counters of the same package once more and must not be added.
const controlType = "intel-rapl:"

// powercap is the folder of all zones, nested ones included.
func powercap(sysfs string) string { return filepath.Join(sysfs, "class", "powercap") }

// findZones lists packages, their memory and the platform. Zones of cores and
// of the graphics unit lie within their package and the contract has no kind
// for them; on AMD the zone "core" is moreover that of one core only.
func findZones(sysfs string) ([]*zone, error) {
	entries, err := os.ReadDir(powercap(sysfs))
	if err != nil {
		return nil, err
	}
	names := map[string]string{} // by folder
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), controlType) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(powercap(sysfs), e.Name(), "name"))
		if err != nil {
			return nil, err
		}
		names[e.Name()] = strings.TrimSpace(string(text))
	}
	var zones []*zone
	for _, e := range entries {
		name, ok := names[e.Name()]
		if !ok {
			continue
		}
		z := &zone{id: name, dir: filepath.Join(powercap(sysfs), e.Name()), name: name}
		z.counter.mostW = mostPackageW
		// intel-rapl:0:2 lies in intel-rapl:0.
		z.parent = names[e.Name()[:strings.LastIndexByte(e.Name(), ':')]]
		switch {
		case strings.HasPrefix(name, "package"):
			z.kind = sdk.DomainCPUPackage
		case name == "dram":
			z.kind = sdk.DomainDRAM
			z.id += strings.TrimPrefix(z.parent, "package")
		case strings.HasPrefix(name, "psys"):
			z.kind = sdk.DomainNode
			z.counter.mostW = mostPlatform
		default:
			continue
		}
		// A range that cannot be read leaves 0: each wrap is then a restart.
		z.counter.rangeUJ, _ = readCount(filepath.Join(z.dir, "max_energy_range_uj"))
		zones = append(zones, z)
	}
	contain(zones)
	return zones, nil
}

// contain puts packages and memory into the platform: into the only one, or
// into that of the same package number ("psys" is that of package 0).
func contain(zones []*zone) {
	var platforms []*zone
	for _, z := range zones {
		if z.kind == sdk.DomainNode {
			platforms = append(platforms, z)
		}
	}
	for _, z := range zones {
		if z.kind == sdk.DomainNode {
			continue
		}
		i := slices.IndexFunc(platforms, func(p *zone) bool { return len(platforms) == 1 || p.number() == z.number() })
		if i >= 0 {
			z.inside = platforms[i].id
		}
	}
}

// number is the package's: 1 for package-1-die-0, dram-1 and psys-1.
func (z *zone) number() string {
	if parts := strings.Split(z.id, "-"); len(parts) > 1 {
		return parts[1]
	}
	return "0"
}

// read returns the counter in microjoules. The file is opened each time: it
// costs three system calls, and a zone that went away is noticed.
func (z *zone) read() (uint64, error) { return readCount(z.energyPath()) }

func (z *zone) energyPath() string { return filepath.Join(z.dir, "energy_uj") }

func readCount(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	// 63 bits: values of a sample are int64.
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 63)
}
