// Package loadgen offers prepared requests to a completions server and stamps
// each token's arrival. It runs inside a backend's process, so that tokens never
// cross the seam one by one:
//
//	func (e *engine) Run(ctx context.Context, run *sdk.Run) error {
//		report, err := e.generator.Run(ctx, run)
//		e.report = report // its Named figures belong into Counters
//		return err
//	}
//
// with a Generator made once in Load:
//
//	e.generator, err = loadgen.New(ctx, loadgen.Options{
//		URL: server.URL(), Model: "m", Dialect: loadgen.VLLM(),
//	})
//
// # What a stamp is
//
// A slow client lets events pile up, reads them in large bites and looks
// faster. Here the stamp of an event is the kernel's receive stamp
// (SO_TIMESTAMPNS) of the segment that completed it, mapped from CLOCK_REALTIME
// to CLOCK_MONOTONIC by a pair of readings at each receive. It does not depend
// on when this process ran. Where a stamp is missing or the wall clock was set,
// the reading of the clock after the receive serves, and is counted.
//
// # What happens in a window
//
// One locked thread waits for sockets and for the next arrival (an absolute
// timer) at once. For bytes that arrive it reads, stamps, keeps, and looks for
// the body's end. Events are decoded when no socket is waiting, mostly after
// their request has ended. A request that fails is a completion with an error
// and is never sent again.
//
// # What it may hold
//
// Options.MemoryBytes bounds undecoded answers and buffers. From half of it on
// decoding does not wait for idle moments; beyond it the largest answers fail.
// Both are warnings. A decoded event takes 16 bytes until its request ends.
//
// Reading order: options.go, dialect.go and body.go (what is sent), loops.go
// (when), reactor.go and conn.go (how), stream.go, frame.go, sse.go, scan.go
// and answer.go (what comes back), outcome.go and report.go (what is said about
// it), clock.go (stamps).
package loadgen
