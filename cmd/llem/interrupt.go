package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameRequest is how long after a signal others count as the same wish. A
// terminal, `timeout` and batch systems signal a process and its group: llem
// then gets the signal twice within milliseconds.
const sameRequest = time.Second

// interruptible returns a context that the first interrupt ends, so that
// engines are unloaded and finished trials kept. A later interrupt meets the
// default handler again and kills llem; its plugins notice and follow.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	for _, s := range heeded() {
		signal.Notify(signals, s)
	}
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		cancel()
		// What arrives meanwhile stays in the channel or is dropped.
		time.Sleep(sameRequest)
		signal.Stop(signals)
	}()
	return ctx, func() {
		cancel()
		signal.Stop(signals)
	}
}

// heeded are the signals that ask for an end. One that llem was started to
// ignore stays ignored: SIGHUP under nohup, SIGINT of a script's background
// job.
func heeded() []os.Signal {
	var list []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}
