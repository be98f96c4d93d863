package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/environ"
)

// printMachine describes the machine in a few lines; all that is known of it is
// in the JSON.
func printMachine(w io.Writer, e environ.Environment) error {
	var lines []string
	add := func(name string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
		lines = append(lines, fmt.Sprintf("%-10s%s", name, cmp.Or(strings.Join(parts, ", "), "unknown")))
	}
	add("machine", e.Host.Name, e.Host.Distro, labelled("kernel", e.Host.Kernel), e.Host.GOARCH)
	add("cpu", e.CPU.Model, counted(e.CPU.Sockets, "socket"), counted(e.CPU.Cores, "core"), counted(e.CPU.Threads, "thread"),
		labelled("governor", strings.Join(e.CPU.Governors, "/")), frequency(e.CPU.MaxKHz), onOff("turbo", e.CPU.Turbo))
	add("memory", size(e.Memory.TotalBytes, ""), size(e.Memory.AvailableBytes, " available"), size(e.Memory.SwapTotalBytes, " swap"))
	if len(e.LoadAverage) > 0 {
		add("load", fmt.Sprintf("%.2f runnable tasks in the last minute", e.LoadAverage[0]))
	}
	if quota := e.Container.CPUQuota; e.Container.Kind != "none" || quota != nil {
		text := ""
		if quota != nil {
			text = fmt.Sprintf("%g CPUs at most", *quota)
		}
		add("container", e.Container.Kind, text, size(e.Container.MemoryLimitBytes, " of memory at most"), labelled("CPUs", e.Container.CPUSet))
	}
	if e.Virtual.Machine != nil && *e.Virtual.Machine {
		add("virtual", cmp.Or(e.Virtual.Product, e.Virtual.Hypervisor, "yes"))
	}
	add("clock", e.Clock.Source, onOff("synchronised", e.Clock.Synchronised), e.Clock.Service)
	if e.NVIDIADriver != "" {
		add("driver", "nvidia "+e.NVIDIADriver)
	}
	if n := len(e.Absent); n > 0 {
		add("unknown", count(n, "value")+"; --format json has them with the reasons, and all else that is known")
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

func labelled(label, text string) string {
	if text == "" {
		return ""
	}
	return label + " " + text
}

func counted(n *int, noun string) string {
	if n == nil {
		return ""
	}
	return count(*n, noun)
}

func frequency(khz *int64) string {
	if khz == nil {
		return ""
	}
	return fmt.Sprintf("up to %.3g GHz", float64(*khz)/1e6)
}

func onOff(name string, on *bool) string {
	switch {
	case on == nil:
		return ""
	case *on:
		return name
	}
	return "not " + name
}

func size(bytes *int64, what string) string {
	if bytes == nil || *bytes == 0 && what != "" {
		return ""
	}
	return fmt.Sprintf("%.3g GiB%s", float64(*bytes)/(1<<30), what)
}
