package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// costs asks the programs that know for what the sampler takes of a core and a
// long recording of disk and memory. Both simulate time.
func costs(e effort) (report, error) {
	var out report
	text, err := said("go", "test", "-count=1", "-run", "^TestSampler$", "-v", "./core/energy/nvml")
	if err != nil {
		return report{}, err
	}
	found := samplerLine.FindStringSubmatch(text)
	if found == nil {
		return report{}, fmt.Errorf("the sampler's test does not say what it took:\n%s", text)
	}
	share, err := strconv.ParseFloat(found[2], 64)
	if err != nil {
		return report{}, err
	}
	lost, err := strconv.ParseFloat(found[3], 64)
	if err != nil {
		return report{}, err
	}
	cpu := percent("sampler", "CPU, of one core: "+found[1], share/100).atMost(2)
	cpu.note = "calls times their cost on a real driver"
	out.figures = append(out.figures, cpu,
		figure{target: "sampler", name: "ring samples lost", value: lost, format: "%.0f"}.atMost(0))

	hours := "24"
	if e.studies < fullStudies {
		hours = "1"
	}
	if text, err = said("go", "run", "./tests/storage", "-hours", hours); err != nil {
		return report{}, err
	}
	limits := map[string]float64{"bytes a sample": 8, "peak memory of the writer": 64}
	for _, found := range storageLine.FindAllStringSubmatch(text, -1) {
		value, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return report{}, err
		}
		f := figure{target: "storage", name: fmt.Sprintf("%s, %s h of 8 GPUs at 50 Hz", found[1], hours), value: value, format: "%.1f " + found[3]}
		if limit, ok := limits[found[1]]; ok {
			f = f.atMost(limit)
			delete(limits, found[1])
		}
		out.figures = append(out.figures, f)
	}
	if len(limits) > 0 {
		return report{}, fmt.Errorf("tests/storage does not say %v:\n%s", limits, text)
	}
	return out, nil
}

var (
	samplerLine = regexp.MustCompile(`(\d+ GPUs, \d+ min).*?: ([\d.]+) % of a core, (\d+) samples lost`)
	storageLine = regexp.MustCompile(`(?m)^storage: (.*?)  +([\d.]+) (\S+)`)
)

// said runs a command and returns what it printed.
func said(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
