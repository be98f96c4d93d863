package energy

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func gpu(id string, change func(*Domain)) Domain {
	d := watts(ReadingIntervalMean)
	d.ID, d.DeviceIDs, d.UpdateNs, d.Host = "ring/"+id, []string{id}, 20e6, "h"
	if change != nil {
		change(&d)
	}
	return d
}

func ids(domains []Domain) []string {
	var out []string
	for _, d := range domains {
		out = append(out, d.ID)
	}
	return out
}

func TestBoundaryIsCanonical(t *testing.T) {
	a, b := gpu("GPU-1", nil), gpu("GPU-2", nil)
	one, other := BoundaryOf(a, b), BoundaryOf(b, a, a)
	if !one.Equal(other) || one.String() != "gpu[GPU-1,GPU-2]" || one.Shape() != "gpu×2" || one.Estimated() || one.Empty() {
		t.Errorf("%s, %s", one, other)
	}
	modelled := BoundaryOf(Domain{ID: "cpu", Kind: KindCPUPackage, Estimated: true, DeviceIDs: []string{"pkg-0"}})
	if modelled.String() != "cpu_package≈[pkg-0]" || !modelled.Estimated() || modelled.Equal(BoundaryOf(Domain{ID: "cpu", Kind: KindCPUPackage, DeviceIDs: []string{"pkg-0"}})) {
		t.Error(modelled)
	}
	if one.Equal(BoundaryOf(a)) || !(Boundary{}).Empty() || (Boundary{}).String() != "" {
		t.Error("different boundaries are equal")
	}
	// Names that contain the separators cannot fake another boundary.
	if BoundaryOf(gpu("a,b", nil)).Equal(BoundaryOf(gpu("a", nil), gpu("b", nil))) {
		t.Error("a comma in a name joins boundaries")
	}
}

func TestHeadlineOfGPUs(t *testing.T) {
	ring1, ring2 := gpu("GPU-1", nil), gpu("GPU-2", nil)
	counter1 := gpu("GPU-1", func(d *Domain) { d.ID, d.Reading, d.UpdateNs = "counter/GPU-1", ReadingCounter, 100e6 })
	instant1 := gpu("GPU-1", func(d *Domain) {
		d.ID, d.Reading, d.UpdateNs, d.AveragingNs = "instant/GPU-1", ReadingInstant, 1e6, 25e4
	})
	memory1 := gpu("GPU-1", func(d *Domain) { d.ID, d.Kind, d.ContainedIn = "hbm/GPU-1", KindGPUMemory, "ring/GPU-1" })
	idle3 := gpu("GPU-3", nil)
	node := Domain{ID: "node", Kind: KindNode, Host: "h"}
	all := []Domain{node, memory1, idle3, instant1, counter1, ring2, ring1}

	c := Headline(all, []string{"GPU-2", "GPU-1"})
	if d := cmp.Diff([]string{"ring/GPU-1", "ring/GPU-2"}, ids(c.Headline)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"instant/GPU-1", "counter/GPU-1"}, ids(c.Checks)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"node", "hbm/GPU-1", "ring/GPU-3"}, ids(c.Others)); d != "" {
		t.Error(d)
	}
	if c.Boundary.String() != "gpu[GPU-1,GPU-2]" || len(c.Warnings) != 0 {
		t.Errorf("%s, %v", c.Boundary, c.Warnings)
	}

	missing := Headline(all, []string{"GPU-1", "GPU-9"})
	if len(missing.Headline) != 0 || !missing.Boundary.Empty() || missing.Warnings[0].Code != CodeNoHeadline || len(missing.Others) != len(all) {
		t.Errorf("a sum without GPU-9: %+v", missing)
	}

	module := Domain{ID: "module", Kind: KindModule, DeviceIDs: []string{"GPU-9"}}
	whole := Headline([]Domain{module, ring1}, []string{"GPU-9"})
	if d := cmp.Diff([]string{"module"}, ids(whole.Headline)); d != "" || whole.Warnings[0].Code != CodeModuleScope {
		t.Error(d, whole.Warnings)
	}

	// A domain over two cards counts only where both are used.
	pair := gpu("", func(d *Domain) { d.ID, d.DeviceIDs = "pair", []string{"GPU-1", "GPU-5"} })
	if c := Headline([]Domain{pair}, []string{"GPU-1"}); len(c.Headline) != 0 {
		t.Errorf("a neighbour's energy is counted: %v", ids(c.Headline))
	}

	// A child of a chosen domain is never added to it, nor is a circle fatal.
	child := gpu("GPU-2", func(d *Domain) { d.ContainedIn = "ring/GPU-1" })
	if c := Headline([]Domain{ring1, child}, []string{"GPU-1", "GPU-2"}); len(c.Headline) != 1 || c.Headline[0].ID != "ring/GPU-1" {
		t.Errorf("%v", ids(c.Headline))
	}
	round := gpu("GPU-2", func(d *Domain) { d.ContainedIn = "x" })
	x := Domain{ID: "x", Kind: KindNode, ContainedIn: "y"}
	y := Domain{ID: "y", Kind: KindRack, ContainedIn: "x"}
	if c := Headline([]Domain{round, x, y}, []string{"GPU-2"}); len(c.Headline) != 1 {
		t.Errorf("%v", ids(c.Headline))
	}
}

// Of sensors of one device the one that looks all the time comes first, then one
// that looks at part of it, last one of which nobody knows; a period that only the
// recording shows counts.
func TestHeadlineByTheTimeLookedAt(t *testing.T) {
	sensor := func(id string, averageNs, updateNs int64) Domain {
		return gpu("", func(d *Domain) {
			d.ID, d.DeviceIDs, d.Reading, d.AveragingNs, d.UpdateNs = id, []string{"GPU-1"}, ReadingInstant, averageNs, updateNs
			d.UnitNum, d.UnitDen = 1, 1000
		})
	}
	all, part, unknown := sensor("c", 900e6, 900e6), sensor("b", 25e6, 100e6), sensor("a", 0, 10e6)
	first := func(list ...Domain) string { return Headline(list, []string{"GPU-1"}).Headline[0].ID }
	if got := first(unknown, part, all); got != "c" {
		t.Error(got)
	}
	if got := first(unknown, part); got != "b" {
		t.Error(got)
	}
	silent := sensor("a", 25e6, 0)
	recorded := trace(t, silent, 10e9, Sample{MonoNs: 1e9, Value: 1000}, Sample{MonoNs: 1.1e9, Value: 1000}, Sample{MonoNs: 1.2e9, Value: 1000})
	if got := first(silent, part); got != "b" {
		t.Error(got)
	}
	if d := recorded.Timed(); d.UpdateNs != 100e6 || first(d, all) != "c" || first(d, unknown) != "a" {
		t.Errorf("%+v", d)
	}
}

// Of several sources of one device that look all the time the one with the smallest
// stated gain bound comes first; between equals the order in the study settles it, and
// neither a name nor a period does.
func TestHeadlineAmongSources(t *testing.T) {
	sensor := func(source string, gain float64, reading Reading, updateNs int64) Domain {
		return gpu("GPU-1", func(d *Domain) {
			d.ID, d.Source, d.Reading, d.UpdateNs, d.Accuracy.GainRel = source+"/d", source, reading, updateNs, gain
		})
	}
	counter := sensor("aa", 0, ReadingCounter, 1e6)
	mean := sensor("zz", 0.01, ReadingIntervalMean, 20e6)
	wide := sensor("mm", 0.05, ReadingIntervalMean, 10e6)
	plain := sensor("zz", 0, ReadingIntervalMean, 20e6)
	model := sensor("bb", 0.001, ReadingIntervalMean, 1e6)
	model.Estimated = true
	part := sensor("cc", 0.001, ReadingInstant, 100e6)
	part.AveragingNs = 25e6
	finer := plain
	finer.ID, finer.UpdateNs = "zz/finer", 10e6
	for name, c := range map[string]struct {
		named []Domain
		want  string
	}{
		"a stated bound before none":            {[]Domain{mean, counter}, "zz/d"},
		"also if it is named later":             {[]Domain{counter, mean}, "zz/d"},
		"the smaller bound":                     {[]Domain{wide, mean}, "zz/d"},
		"equal bounds: as named":                {[]Domain{plain, counter}, "zz/d"},
		"equal bounds: as named, the other way": {[]Domain{counter, plain}, "aa/d"},
		"the finer one of a source":             {[]Domain{plain, finer, counter}, "zz/finer"},
		"measured before a model":               {[]Domain{model, counter}, "aa/d"},
		"looking all the time before a bound":   {[]Domain{part, counter}, "aa/d"},
	} {
		got := Headline(c.named, []string{"GPU-1"}).Headline
		if len(got) != 1 || got[0].ID != c.want {
			t.Errorf("%s: %v, want %s", name, ids(got), c.want)
		}
		for i := range c.named {
			c.named[i].Kind = KindCPUPackage
		}
		if got := Headline(c.named, nil).Headline; len(got) != 1 || got[0].ID != c.want {
			t.Errorf("%s, on CPU: %v, want %s", name, ids(got), c.want)
		}
	}
}

func TestHeadlineOfCPU(t *testing.T) {
	pkg := func(id string, estimated bool) Domain {
		return Domain{ID: id, Kind: KindCPUPackage, DeviceIDs: []string{id}, Estimated: estimated, Host: "h"}
	}
	dram := Domain{ID: "dram", Kind: KindDRAM, Host: "h"}
	core := Domain{ID: "core", Kind: "core", ContainedIn: "p0", Host: "h"}
	c := Headline([]Domain{pkg("guess", true), pkg("p1", false), dram, core, pkg("p0", false), gpu("GPU-1", nil)}, nil)
	if d := cmp.Diff([]string{"p0", "p1"}, ids(c.Headline)); d != "" || c.Boundary.String() != "cpu_package[p0,p1]" {
		t.Error(d, c.Boundary)
	}
	if len(c.Others) != 4 {
		t.Errorf("others: %v", ids(c.Others))
	}
	nameless := func(id string) Domain { return Domain{ID: id, Kind: KindCPUPackage, Host: "h"} }
	if c := Headline([]Domain{nameless("s0"), nameless("s1")}, nil); len(c.Headline) != 2 || c.Boundary.String() != "cpu_package[s0,s1]" {
		t.Errorf("two sockets without names: %v", c.Boundary)
	}
	only := Headline([]Domain{pkg("guess", true)}, nil)
	if len(only.Headline) != 1 || only.Warnings[0].Code != CodeEstimated || !only.Boundary.Estimated() {
		t.Errorf("%+v", only)
	}
	if c := Headline([]Domain{dram}, nil); len(c.Headline) != 0 || c.Warnings[0].Code != CodeNoHeadline {
		t.Errorf("%+v", c)
	}
}

func TestTotal(t *testing.T) {
	a, b := gpu("GPU-1", nil), gpu("GPU-2", nil)
	w := func(d Domain, j, random, gain float64) Window {
		return Window{Domain: d.ID, FromNs: 0, ToNs: 1e9, EnergyJ: j, MeanPowerW: j, RandomRel: random, GainRel: gain, OffsetW: 5, CoverageRatio: 1, Method: MethodIntervalMean}
	}
	sum, boundary, err := Total([]Domain{a, b}, []Window{w(a, 300, 0.01, 0.05), w(b, 100, 0.04, 0.05)})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy", sum.EnergyJ, 400, 1e-12)
	near(t, "random", sum.RandomRel, math.Hypot(3, 4)/400, 1e-12)
	near(t, "gain", sum.GainRel, 0.05, 1e-12)
	near(t, "offset", sum.OffsetW, 10, 1e-12)
	aliased := w(a, 300, 0, 0)
	aliased.AliasRel, aliased.OffsetW = 0.2, 3
	part, _, err := Total([]Domain{a, b}, []Window{aliased, w(b, 100, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "aliasing", part.AliasRel, 0.15, 1e-12)
	near(t, "systematic", part.SystematicRel(), 0.15+8.0/400, 1e-12)
	if boundary.String() != "gpu[GPU-1,GPU-2]" || sum.Method != MethodIntervalMean {
		t.Errorf("%s, %s", boundary, sum.Method)
	}
	inside := b
	inside.ContainedIn = a.ID
	later := w(b, 1, 0, 0)
	later.ToNs++
	for name, c := range map[string]struct {
		d []Domain
		w []Window
	}{
		"none":        {nil, nil},
		"uneven":      {[]Domain{a, b}, []Window{w(a, 1, 0, 0)}},
		"other span":  {[]Domain{a, b}, []Window{w(a, 1, 0, 0), later}},
		"twice":       {[]Domain{a, a}, []Window{w(a, 1, 0, 0), w(a, 1, 0, 0)}},
		"inside":      {[]Domain{a, inside}, []Window{w(a, 1, 0, 0), w(inside, 1, 0, 0)}},
		"other order": {[]Domain{a, b}, []Window{w(b, 1, 0, 0), w(a, 1, 0, 0)}},
	} {
		if sum, _, err := Total(c.d, c.w); err == nil {
			t.Errorf("%s: %+v", name, sum)
		}
	}
}

func TestCrossCheckLimits(t *testing.T) {
	for _, c := range []struct {
		seconds, ratio, random, alias float64
		want                          Severity
	}{{30, 1.049, 0, 0, ""}, {30, 1.06, 0, 0, SeverityWarning}, {30, 0.8, 0, 0, SeverityFatal}, {1, 1.3, 0.12, 0, ""}, {1, 1.3, 0.01, 0, SeverityFatal},
		{30, 1.21, 0, 0.2156, ""}, {30, 1.22, 0, 0.2156, SeverityFatal}, {1, 1.24, 0.01, 0.2156, ""}, {1, 1.26, 0.01, 0.2156, SeverityFatal}, {30, 1.06, 0, 0.05, SeverityWarning},
		{10, 1.06, 0.1, 0, SeverityWarning}, {9.99, 1.06, 0.1, 0, ""}} {
		a := Window{ToNs: int64(c.seconds * 1e9), EnergyJ: c.ratio, RandomRel: c.random, AliasRel: c.alias}
		b := Window{ToNs: a.ToNs, EnergyJ: 1}
		ratio, warnings, err := CrossCheck(a, b)
		got := Severity("")
		if len(warnings) > 0 {
			got = warnings[0].Severity
		}
		if err != nil || ratio != c.ratio || got != c.want {
			t.Errorf("%+v: %g, %q, %v", c, ratio, got, err)
		}
	}
	if _, _, err := CrossCheck(Window{ToNs: 1, EnergyJ: 1}, Window{ToNs: 2, EnergyJ: 1}); err == nil {
		t.Error("different spans were compared")
	}
	if _, _, err := CrossCheck(Window{ToNs: 1, EnergyJ: 1}, Window{ToNs: 1}); err == nil {
		t.Error("a ratio to nothing")
	}
}
