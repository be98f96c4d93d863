package sdk

import (
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// clockMonotonic is CLOCK_MONOTONIC of clock_gettime(2), the same on every
// Linux architecture.
const clockMonotonic = 1

// clockBase ties the runtime's monotonic reading to the kernel's numbers.
// The runtime reads the same clock through the vDSO in about 40 ns but does
// not show the value, so one pair taken at start gives the constant between.
var clockBase = newClockPair()

type clockPair struct {
	goTime time.Time
	monoNs int64
}

// newClockPair takes the pair with the narrowest bracket of eight, so that
// being descheduled between the two reads does not enter the offset.
func newClockPair() clockPair {
	var best clockPair
	narrowest := time.Duration(1<<63 - 1)
	for range 8 {
		before := time.Now()
		mono := kernelMonotonic()
		after := time.Now()
		if width := after.Sub(before); width < narrowest {
			narrowest = width
			best = clockPair{goTime: before.Add(width / 2), monoNs: mono}
		}
	}
	return best
}

func kernelMonotonic() int64 {
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		// The clock exists on every kernel that runs Go; without it there is
		// no measurement to be had.
		panic("sdk: clock_gettime(CLOCK_MONOTONIC): " + errno.Error())
	}
	return ts.Nano()
}

// MonoNow returns CLOCK_MONOTONIC in nanoseconds.
func MonoNow() int64 {
	return clockBase.monoNs + int64(time.Since(clockBase.goTime))
}

// MonoAt converts a time that carries a monotonic reading of this process.
func MonoAt(t time.Time) int64 {
	return clockBase.monoNs + int64(t.Sub(clockBase.goTime))
}

// BootID names the running kernel's boot; stamps of different boots must
// never be compared. It is empty where the kernel does not tell.
func BootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
