package main

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

func TestModel(t *testing.T) {
	for name, c := range map[string]struct {
		tree       string
		parameters sdk.Table
		fullW      float64
		gain       float64
		words      string
	}{
		"two packages, threads switched off": {"server", nil, 540, gainKnown, "the TDP of Intel Xeon Platinum 8380, 270 W, times 2 packages; idle"},
		"virtual machine":                    {"virtual", nil, 8.75, gainVirtual, "280 W, times 4 CPUs of this virtual machine / 128 threads"},
		"part of a machine":                  {"part", nil, 31.25, gainKnown, "125 W, times 1 packages, times 8 CPUs seen here / 32 threads"},
		"unknown model":                      {"unknown", nil, 7, gainUnknown, "the processor (AMD EPYC) is not in the table, so 2 CPUs at 3.5 W each"},
		"no model":                           {"arm", nil, 14, gainUnknown, "(not named by the kernel)"},
		"override":                           {"unknown", sdk.Table{"tdp_w": 35.0, "idle_share": 0.4}, 35, gainKnown, "35 W as the parameter tdp_w says; idle is 0.4 of it"},
	} {
		t.Run(name, func(t *testing.T) {
			parameters := sdk.Table{"procfs": filepath.Join("testdata", c.tree)}
			for key, value := range c.parameters {
				parameters[key] = value
			}
			s := &source{}
			domains, err := s.Open(t.Context(), sdk.OpenRequest{Parameters: parameters})
			if err != nil {
				t.Fatal(err)
			}
			d := domains[0]
			if !d.Estimated || d.Kind != sdk.DomainCPUPackage || d.Reading != sdk.ReadingIntervalMean || !strings.Contains(d.Doc, c.words) {
				t.Errorf("%+v: want an estimated package with %q", d, c.words)
			}
			if *d.Accuracy.GainRel != c.gain || *d.Accuracy.OffsetW != idleBound*c.fullW || d.Accuracy.Confidence != nil {
				t.Errorf("accuracy ±%v ±%v W: want gain %v of %v W without a confidence", *d.Accuracy.GainRel, *d.Accuracy.OffsetW, c.gain, c.fullW)
			}
			idle := parameters.Float("idle_share", defaultIdleShare)
			for busy, want := range map[float64]float64{0: idle, 1: 1, 0.5: (1 + idle) / 2} {
				if got := float64(s.model.milliwatts(busy)); math.Abs(got-1000*c.fullW*want) > 1 {
					t.Errorf("busy %v: %v mW, want %v", busy, got, 1000*c.fullW*want)
				}
			}
		})
	}
}

func TestPlainModel(t *testing.T) {
	for raw, want := range map[string]string{
		"Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz":   "Intel Xeon E5-2680 v4",
		"12th Gen Intel(R) Core(TM) i7-12700K":        "Intel Core i7-12700K",
		"Intel(R) Core(TM) Ultra 9 285K":              "Intel Core Ultra 9 285K",
		"INTEL(R) XEON(R) PLATINUM 8480+":             "INTEL XEON PLATINUM 8480+",
		"AMD Ryzen Threadripper PRO 5995WX 64-Cores":  "AMD Ryzen Threadripper PRO 5995WX",
		"AMD EPYC 7R13 Processor":                     "AMD EPYC 7R13",
		"AMD Ryzen 9 7950X 16-Core Processor        ": "AMD Ryzen 9 7950X",
	} {
		if got := plainModel(raw); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

// The table can be read, its names are as plainModel makes them, and the
// default for unknown models is what its comment says.
func TestTable(t *testing.T) {
	table, err := parts()
	if err != nil {
		t.Fatal(err)
	}
	if rows := strings.Count(tdpText, "\nIntel ") + strings.Count(tdpText, "\nAMD "); rows != len(table) {
		t.Errorf("%d rows make %d models: one is there twice", rows, len(table))
	}
	var each []float64
	for name, p := range table {
		if plainModel(name) != name {
			t.Errorf("%q would never be found", name)
		}
		each = append(each, p.TDPW/float64(p.Threads))
	}
	slices.Sort(each)
	if each[0] < 1.25 || each[len(each)-1] > 7.85 || math.Abs(each[len(each)/2]-defaultCPUW) > 0.5 {
		t.Errorf("watts a CPU: least %v, middle %v, greatest %v", each[0], each[len(each)/2], each[len(each)-1])
	}
}
