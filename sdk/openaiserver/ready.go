package openaiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// readyPoll is how often a server is asked whether it is up: that costs it a
// little, and nothing is measured yet.
const readyPoll = 50 * time.Millisecond

// probeTimeout is for one such question. Some servers accept a connection long
// before they answer on it.
const probeTimeout = 2 * time.Second

// refusedLimit is how long nothing may listen where a server is said to be running.
const refusedLimit = 10 * time.Second

// awaitReady returns when the server is up. One that ends before is explained.
func (b *backend) awaitReady(ctx context.Context) error {
	limit := b.startLimit()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errNotReady)
	defer cancel()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	// A server that has ended is asked no more, whoever may answer on its port.
	alive, gone := b.whileAlive(ctx)
	defer gone()
	var last error
	refused := time.Now() // since when, if by all questions
	for {
		probe, stop := context.WithTimeout(alive, probeTimeout)
		_, err := b.server.Get(probe, b.engine.Ready)
		stop()
		switch {
		case err == nil && alive.Err() == nil:
			return nil
		case forbidden(err):
			return b.wrongKey(err)
		case ctx.Err() == nil:
			last = err
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			refused = time.Now()
		}
		if b.process == nil && time.Since(refused) > refusedLimit {
			return &sdk.Error{
				Code: sdk.Timeout, KeyPath: urlKey, Phase: "connect to the server", Message: fmt.Sprintf("nothing has listened at %s for %v", b.server.URL, refusedLimit),
				Advice: "start the server, and wait until it serves, before llem attaches to it; or name the address at which it listens",
			}
		}
		select {
		case <-b.exited():
			return b.died("start the server")
		case <-ctx.Done():
			return b.notReady(ctx, b.engine.Ready, limit, last)
		case <-ticker.C:
		}
	}
}

func (b *backend) startLimit() time.Duration {
	return time.Duration(b.settings.Int(timeoutKey, startLimitS)) * time.Second
}

func forbidden(err error) bool {
	var status *statusError
	return errors.As(err, &status) && (status.code == http.StatusUnauthorized || status.code == http.StatusForbidden)
}

func (b *backend) wrongKey(err error) error {
	return &sdk.Error{Code: sdk.Permission, KeyPath: apiKeyKey, Phase: "connect to the server", Message: b.hide(err.Error()), Advice: "the server wants another API key"}
}

var errNotReady = errors.New("the server's time to start is over")

func (b *backend) notReady(ctx context.Context, asked string, limit time.Duration, last error) error {
	if !errors.Is(context.Cause(ctx), errNotReady) {
		return ctx.Err()
	}
	message := fmt.Sprintf("the server does not answer %s after %v", asked, limit)
	if last != nil {
		message += fmt.Sprintf(" (%v)", last)
	}
	if b.process != nil {
		if lines := b.process.log.tail(); len(lines) > 0 {
			message += "; its last line: " + lines[len(lines)-1]
		}
	}
	return &sdk.Error{
		Code: sdk.Timeout, KeyPath: timeoutKey, Phase: "start the server", Message: b.hide(message),
		Advice: "its log is in the trial's log; raise start_timeout_s if it only needs longer",
	}
}

// tryOut sends one request of two tokens through the generator and wants them: a server
// that answers with others, or in events of another kind, is known before it is measured.
func (b *backend) tryOut(ctx context.Context) error {
	work := &sdk.Work{ExactLengths: true, Items: []sdk.WorkItem{{TokenIDs: []uint32{10, 11, 12, 13}, MaxTokens: 2}}}
	var failure, unfit string
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordRequest, MaxRequests: 1}, work, func(event sdk.RunEvent) {
		if done, ok := event.(sdk.Completions); ok {
			for _, c := range done {
				switch {
				case c.Failed():
					failure = c.Error
				case c.OutputTokens != 2:
					unfit = fmt.Sprintf("a request of exactly two tokens was answered with %d and ended as %q", c.OutputTokens, c.FinishReason)
				case c.FirstNs == 0:
					unfit = "the server counts the tokens of its answer, and its events hold neither ids nor text"
				}
			}
		}
	})
	limit := b.startLimit()
	inTime, cancel := context.WithTimeoutCause(ctx, limit, errNotReady)
	defer cancel()
	alive, gone := b.whileAlive(inTime)
	defer gone()
	_, err := b.generator.Run(alive, run)
	if _, finish := run.Finish(); err == nil {
		err = finish
	}
	if inTime.Err() != nil && (b.process == nil || !b.process.dead()) {
		return b.notReady(inTime, "a request of two tokens", limit, nil)
	}
	if err == nil && failure != "" {
		err = fmt.Errorf("a request of two tokens failed: %s", failure)
	}
	switch {
	case err != nil:
		return b.blame(ctx, "try the server out", err)
	case unfit != "":
		return &sdk.Error{
			Code: sdk.UnsupportedFeature, Phase: "try the server out", Message: unfit,
			Advice: "its version, or a proxy before it, does not take what the plugin asks of it",
		}
	}
	return nil
}

var errServerGone = errors.New("the server is gone")

// whileAlive is ctx until a server that was started here ends.
func (b *backend) whileAlive(ctx context.Context) (alive context.Context, release func()) {
	alive, cancel := context.WithCancelCause(ctx)
	exited := b.exited()
	go func() {
		select {
		case <-exited: // nil, and never ready, for an attached one
			cancel(errServerGone)
		case <-alive.Done():
		}
	}()
	return alive, func() { cancel(nil) }
}

// goneWait is how long a server whose requests fail may take to show that it is
// dying.
const goneWait = 8 * time.Second

// blame says what stands behind a failure of a request: the server's end if it
// ends soon.
func (b *backend) blame(ctx context.Context, phase string, err error) error {
	if b.process != nil && ctx.Err() == nil {
		b.process.await(ctx, goneWait)
		if b.process.dead() {
			return b.died(phase)
		}
	}
	return &sdk.Error{Code: sdk.EngineCrashed, Phase: phase, Message: b.hide(err.Error()), Advice: "see the server's log"}
}
