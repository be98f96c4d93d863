package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// absent says why there is no counter, and what would help.
func absent(sysfs string, err error) error {
	where := powercap(sysfs)
	e := &sdk.Error{Code: sdk.DeviceMissing, Message: fmt.Sprintf("no RAPL counter: %s has no zone %s*", where, controlType)}
	if errors.Is(err, fs.ErrNotExist) {
		e.Message = fmt.Sprintf("no RAPL counter: %s does not exist", where)
	} else if err != nil {
		return &sdk.Error{
			Code: codeOf(err), Message: fmt.Sprintf("look for RAPL counters: %v", err),
			Advice: fmt.Sprintf("look what `ls -l %s` says", where),
		}
	}
	switch {
	case virtual():
		e.Message += ", and hypervisors do not pass the counters on to virtual machines"
		e.Advice = "measure on the host itself"
	case contained():
		e.Advice = "this is a container: bind-mount the host's /sys/class/powercap and /sys/devices/virtual/powercap read-only, and name another place with the parameter sysfs"
	default:
		e.Advice = "on a processor that has them (Intel since 2011, AMD since 2017) type: sudo modprobe intel_rapl_msr"
	}
	return e
}

// unreadable says what to type when z's counter cannot be read.
func (z *zone) unreadable(err error) error {
	path := z.energyPath()
	e := &sdk.Error{
		Code: codeOf(err), Message: fmt.Sprintf("read the RAPL counter of %s: %v", z.id, err),
		Advice: fmt.Sprintf("look whether `sudo cat %s` gives a number", path),
	}
	if e.Code == sdk.Permission {
		all := filepath.Join(filepath.Dir(z.dir), controlType+"*", "energy_uj")
		e.Message = fmt.Sprintf("the RAPL counter of %s may not be read by user %d", z.id, os.Geteuid())
		e.Advice = fmt.Sprintf("type: sudo chmod a+r %s (until the next boot; docs/sources.md has a rule that lasts)", all)
	}
	return e
}

func codeOf(err error) sdk.Code {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return sdk.Permission
	case errors.Is(err, fs.ErrNotExist):
		return sdk.DeviceMissing
	}
	return sdk.Internal
}

// virtual tells whether the processor says that it runs under a hypervisor.
func virtual() bool {
	text, err := os.ReadFile("/proc/cpuinfo")
	return err == nil && strings.Contains(string(text), " hypervisor")
}

// contained tells whether the usual marks of a container are there.
func contained() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	return false
}
