package proc

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

// deathLimit bounds what a plugin does when its host has died.
const deathLimit = 2 * time.Second

// WatchLifeline, on the plugin's side, waits in the background for the host's
// death: it then calls onDeath, for at most two seconds, kills all descendants
// and ends the own process group. Nothing is logged on that path, because the
// pipe behind stderr is broken and the first line would end the process before
// its clean-up. Without a lifeline (a plugin started by hand) nothing happens.
func WatchLifeline(onDeath func()) {
	fd, err := strconv.Atoi(os.Getenv(lifelineEnv))
	if err != nil {
		return
	}
	// Children must not keep the lifeline, or what they inherit of it.
	syscall.CloseOnExec(fd)
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	if lifeline == nil {
		return
	}
	go func() {
		var one [1]byte
		for {
			// Nothing is ever written: a return with data would be noise.
			if n, err := lifeline.Read(one[:]); n == 0 && err != nil {
				break
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
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
