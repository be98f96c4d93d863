package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/core/result"
)

// otherDomains makes the estimates of every domain that is not part of the
// headline of its trial.
func otherDomains(loads []result.Trial, grouped bool) []Domain {
	var out []Domain
	for _, t := range loads {
		for _, w := range t.Windows {
			for _, d := range w.Domains {
				if slices.Contains(t.Headline, d.DomainID) || slices.ContainsFunc(out, func(o Domain) bool { return o.ID == d.DomainID }) {
					continue
				}
				audits := slices.ContainsFunc(t.Audit, func(a gate.Audit) bool { return a.Check == d.DomainID })
				devices, unused := devicesOf(t, d.DomainID)
				out = append(out, Domain{ID: d.DomainID, Kind: d.Kind, Source: d.Source, Devices: devices, Unused: unused, Estimated: d.Estimated, Check: audits})
			}
		}
	}
	for i := range out {
		d := &out[i]
		d.Estimates, d.Absent = summarize(loads, grouped, d.boundary(), domainMetrics(d.ID), func(w result.Window) *float64 {
			for _, x := range w.Domains {
				if x.DomainID == d.ID && x.Error == "" {
					v := x.Window.SystematicRel()
					return &v
				}
			}
			return nil
		})
	}
	return out
}

func (d Domain) boundary() string {
	mark := ""
	if d.Estimated {
		mark = "≈"
	}
	return d.Kind + mark + "[" + d.ID + "]"
}

// devicesOf are the devices whose energy a domain of a trial covers; unused if they are
// GPUs of which the deployment has none: what such a card draws says nothing of the cell.
func devicesOf(t result.Trial, domainID string) (devices []string, unused bool) {
	var kind string
	var used []string
	for _, s := range t.Sources {
		for _, d := range s.Domains {
			if d.ID == domainID {
				devices, kind = d.DeviceIDs, d.Kind
			}
			if slices.Contains(t.Headline, d.ID) {
				used = append(used, d.DeviceIDs...)
			}
		}
	}
	if t.Load != nil {
		for _, d := range t.Load.Report.Devices {
			used = append(used, d.ID)
		}
	}
	onGPU := kind == energy.KindGPU || kind == energy.KindGPUMemory || kind == energy.KindModule
	unused = onGPU && len(devices) > 0 && len(used) > 0 && !slices.ContainsFunc(devices, func(id string) bool { return slices.Contains(used, id) })
	return devices, unused
}

// shown tells whether a domain has a column in the table.
func (d Domain) shown() bool { return !d.Check && !d.Unused }

// otherKinds are the kinds of domains beside the headline.
func (p *printer) otherKinds() []string {
	var kinds []string
	for _, c := range p.s.Cells {
		for _, d := range c.Domains {
			if d.shown() && !slices.Contains(kinds, d.Kind) {
				kinds = append(kinds, d.Kind)
			}
		}
	}
	slices.Sort(kinds)
	return kinds
}

// domainValue shows the domains of a kind apart from each other, in the order that a
// line below the table names: they are never added.
func domainValue(c Cell, kind string) string {
	var values []string
	for _, d := range c.Domains {
		if e, ok := d.Estimate(MetricEnergyPerToken); ok && d.Kind == kind && d.shown() {
			value := centre(e, true)
			if d.Estimated {
				value = "≈" + value
			}
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return missing
	}
	return strings.Join(values, ", ")
}

// besides says which domains the columns beside the headline are of, where one column
// has several, and which recorded devices are in no column.
func (p *printer) besides() {
	for _, kind := range p.otherKinds() {
		domains := func(d Domain) []string {
			if !d.shown() || d.Kind != kind {
				return nil
			}
			return []string{d.ID}
		}
		p.eachList(domains, func(ids []string, of string) {
			if len(ids) > 1 {
				p.paragraph("%s J/token%s: %s, in this order; they are not added", kind, of, strings.Join(ids, ", "))
			}
		})
	}
	unused := func(d Domain) []string {
		if !d.Unused {
			return nil
		}
		return d.Devices
	}
	p.eachList(unused, func(ids []string, of string) {
		p.paragraph("not used by the deployment%s, recorded beside it: %s (figures in summary.csv)", of, some(ids))
	})
}

// eachList collects names of each cell's domains, and calls on once for each list that
// is not empty, with the cells that have it unless it is all.
func (p *printer) eachList(names func(Domain) []string, on func(list []string, of string)) {
	var lists [][]string
	labels := map[string][]string{}
	for _, c := range p.s.Cells {
		var list []string
		for _, d := range c.Domains {
			if _, ok := d.Estimate(MetricEnergyPerToken); !ok {
				continue
			}
			for _, name := range names(d) {
				if !slices.Contains(list, name) {
					list = append(list, name)
				}
			}
		}
		if len(list) == 0 {
			continue
		}
		key := fmt.Sprint(list)
		if labels[key] == nil {
			lists = append(lists, list)
		}
		labels[key] = append(labels[key], c.Label)
	}
	for _, list := range lists {
		of := ""
		if cells := labels[fmt.Sprint(list)]; len(cells) < len(p.s.Cells) {
			of = " of " + some(cells)
		}
		on(list, of)
	}
}
