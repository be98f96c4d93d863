//go:build !linux

package proc

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// process is not known of any.
type process struct{ pid int }

// BecomeSubreaper does nothing: only Linux has subreapers.
func BecomeSubreaper() error { return nil }

// Sweep does nothing: without /proc only the process group is known.
func Sweep(int, string) (found int, left []int) { return 0, nil }

func related(int, string, map[int]process) []process { return nil }

func sweep(_ int, _ string, _ map[int]process, strike func()) (found int, left []int) {
	strike()
	return 0, nil
}

// Survivors knows of none: there is no /proc.
func Survivors(string) []int { return nil }

// awaitDeath leaves the waiting to the caller's Wait.
func awaitDeath(int) {}

func startTime(int) (uint64, error) { return 0, nil }

func tieToParent(*exec.Cmd) error {
	return errors.New("children can be tied to their parent's life on Linux only")
}

// Descendants knows of none: there is no /proc.
func Descendants([]int) map[int][]int { return nil }

// Family is one that nobody knows: there is no /proc.
type Family struct{}

// NewFamily does nothing.
func NewFamily(int, string) *Family { return &Family{} }

// Look knows of nobody.
func (*Family) Look() []int { return nil }

// AwaitEnd does nothing.
func (*Family) AwaitEnd(context.Context, time.Duration) {}

// Kill does nothing.
func (*Family) Kill(time.Duration, <-chan struct{}) []int { return nil }
