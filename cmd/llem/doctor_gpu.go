package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/llenergymeasure/llem"
	gpustate "github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// gpuDiagnosis is one GPU: what it is, how its sensors behave, and what the gates
// that need no trial say of how it is set.
type gpuDiagnosis struct {
	Facts    gpustate.Facts    `json:"facts"`
	Findings []gate.Finding    `json:"findings"`
	Passed   []string          `json:"passed"`
	Unknown  map[string]string `json:"unknown,omitempty"`
}

// tryNVML opens the built-in source and looks at its GPUs. The first time on a
// card and driver its sensors are characterised, which takes some seconds.
func tryNVML(ctx context.Context, user study.UserConfig) (v verdict, gpus []gpuDiagnosis) {
	gpus = []gpuDiagnosis{}
	n := nvml.New()
	// What keeps it from looking keeps it from opening, which says so.
	_ = n.Characterise(ctx, filepath.Join(llem.CacheDir(user), "sensors"))
	keep := &opened{sensor: n}
	v = tryOpen(ctx, keep)
	for _, e := range n.Events(0) {
		if !strings.Contains(v.Text, e.Message) {
			v.Text += "; " + e.Code + ": " + e.Message
		}
	}
	for _, d := range keep.seen {
		gpus = append(gpus, judgeGPU(d, keep.domains))
	}
	return v, gpus
}

// opened looks at the devices of an NVML source while it is open.
type opened struct {
	sensor  *nvml.Source
	domains []sdk.Domain
	seen    []gate.Device
}

// Open opens the source and takes a look.
func (o *opened) Open(ctx context.Context, req sdk.OpenRequest) (domains []sdk.Domain, err error) {
	if domains, err = o.sensor.Open(ctx, req); err != nil {
		return nil, err
	}
	o.domains = domains
	shots := o.sensor.Snapshot(nil)
	for _, f := range o.sensor.Facts() {
		d := gate.Device{Facts: f}
		if shot, ok := shots[f.UUID]; ok {
			d.Before = &shot
		}
		o.seen = append(o.seen, d)
	}
	return domains, nil
}

// Close closes the source.
func (o *opened) Close(ctx context.Context) error { return o.sensor.Close(ctx) }

// judgeGPU asks the static gates about one GPU and the domain that a study on it
// would take for its headline.
func judgeGPU(d gate.Device, domains []sdk.Domain) gpuDiagnosis {
	var all []energy.Domain
	for _, x := range domains {
		all = append(all, energy.Domain{ID: x.ID, Kind: string(x.Kind), DeviceIDs: x.DeviceIDs, Reading: energy.Reading(x.Reading),
			AveragingNs: x.AveragingNs, UpdateNs: x.UpdatePeriodNs, Estimated: x.Estimated, Host: x.Host})
	}
	in := gate.Input{Devices: []gate.Device{d}}
	for _, h := range energy.Headline(all, []string{d.Facts.UUID}).Headline {
		in.Headline = append(in.Headline, gate.Domain{Domain: h, PeriodNs: h.UpdateNs})
	}
	v := gate.JudgeStatic(in)
	return gpuDiagnosis{Facts: d.Facts, Findings: append([]gate.Finding{}, v.Findings...), Passed: v.Passed, Unknown: v.Unknown}
}

// print writes the GPU, its sensors, what to do, and what is fine.
func (g gpuDiagnosis) print(w io.Writer) {
	f := g.Facts
	fmt.Fprintf(w, "gpu       %s  %s, driver %s\n", f.UUID, cmp.Or(f.Model, "unknown model"), cmp.Or(f.Driver, "unknown"))
	for _, s := range f.Sensors {
		fmt.Fprintf(w, "          sensor %-8s %s\n", s.Name, sensorText(s))
	}
	for _, x := range g.Findings {
		fmt.Fprintf(w, "          %s %s: %s\n          -> %s\n", x.Severity, x.Code, x.Message, x.Advice)
	}
	for _, row := range gate.Table() {
		if why := g.Unknown[row.Code]; why != "" {
			fmt.Fprintf(w, "          unknown %s: %s\n", row.Code, why)
		}
	}
	if len(g.Passed) > 0 {
		fmt.Fprintf(w, "          fine    %s\n", strings.Join(g.Passed, " "))
	}
}

func sensorText(s gpustate.Sensor) string {
	if s.Error != "" {
		return "no: " + s.Error
	}
	text := "did not change"
	if s.UpdateNs > 0 {
		text = "every " + energy.DurationText(s.UpdateNs)
	}
	if s.ResolutionCounts > 0 {
		text += fmt.Sprintf(", steps of %d", s.ResolutionCounts)
	}
	if s.Depth > 0 {
		text += fmt.Sprintf(", %d deep", s.Depth)
	}
	return text + fmt.Sprintf(", of the %s, a call takes %s (p99 %s)", s.Scope, energy.DurationText(s.CallP50Ns), energy.DurationText(s.CallP99Ns))
}
