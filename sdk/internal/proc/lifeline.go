package proc

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// deathLimit bounds what a plugin does when its host has died.
const deathLimit = 2 * time.Second

// WatchLifeline, on the plugin's side, waits in the background for the host's
// death: it then calls onDeath, for at most two seconds, kills all descendants
// and ends the own process group. Nothing should be logged on that path: nobody
// reads it. Without a lifeline (a plugin started by hand) nothing happens.
//
// It also takes two signals out of the way that would end the plugin before its
// clean-up: SIGPIPE, which anybody's log line raises once the host is dead, and
// SIGHUP, with which the kernel wakes a stopped group that has lost its parent.
// Children start with the usual handling of both.
func WatchLifeline(onDeath func()) {
	fd, err := strconv.Atoi(os.Getenv(lifelineEnv))
	if err != nil {
		return
	}
	// A descendant that is a plugin, too, must not take a descriptor of its
	// own for the lifeline.
	_ = os.Unsetenv(lifelineEnv)
	var status syscall.Stat_t
	if syscall.Fstat(fd, &status) != nil || status.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return
	}
	// Children must not keep the lifeline either.
	syscall.CloseOnExec(fd)
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	// Caught and not ignored: an ignored signal stays ignored in children.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGHUP)
	go func() {
		awaitEOF(lifeline)
		done := make(chan struct{})
		go func() {
			defer close(done)
			// A panic would end the process with its children alive.
			defer func() { _ = recover() }()
			onDeath()
		}()
		select {
		case <-done:
		case <-time.After(deathLimit):
		}
		Sweep(os.Getpid(), os.Getenv(cookieEnv))
		if syscall.Getpgrp() == os.Getpid() {
			_ = syscall.Kill(0, syscall.SIGKILL)
		}
		os.Exit(1)
	}()
}

// awaitEOF blocks until the last holder of the other end is gone. Nothing is
// ever written: a read with data would be noise.
func awaitEOF(lifeline *os.File) {
	var one [1]byte
	for {
		if n, err := lifeline.Read(one[:]); n == 0 && err != nil {
			return
		}
	}
}
