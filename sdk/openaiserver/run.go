package openaiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// Prepare implements sdk.Preparer: requests are rendered and the prefix cache is
// dropped outside every window.
func (b *backend) Prepare(ctx context.Context, work *sdk.Work) error {
	if b.engine.Flush != nil {
		if path := b.engine.Flush(b.settings); path != "" {
			if err := b.flush(ctx, path); err != nil {
				return &sdk.Error{Code: sdk.EngineCrashed, Phase: "drop the prefix cache", Message: b.hide(err.Error()), Advice: "switch prefix caching off"}
			}
		}
	}
	return b.generator.Prepare(ctx, work)
}

// flush drops the prefix cache. A server keeps it while it still holds a request that
// was broken off: SGLang says so by status 400, vLLM in an answer of status 200. It is
// asked again for as long as an engine may take to be quiet.
func (b *backend) flush(ctx context.Context, path string) error {
	for deadline := time.Now().Add(time.Duration(b.engine.MaxCancelMs) * time.Millisecond); ; {
		body, err := b.server.call(ctx, http.MethodPost, path)
		var status *statusError
		switch {
		case err == nil && !kept(body):
			return nil
		case err == nil:
			err = fmt.Errorf("POST %s%s: the server kept it: %s", b.server.URL, path, body)
		case !errors.As(err, &status) || status.code != http.StatusBadRequest:
			return err
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(quietPoll):
		}
	}
}

func kept(answer []byte) bool {
	var told struct{ Success *bool }
	return json.Unmarshal(answer, &told) == nil && told.Success != nil && !*told.Success
}

// Run implements sdk.Backend. A Run whose server dies ends with what killed it;
// each request that was handed out is completed all the same.
func (b *backend) Run(ctx context.Context, run *sdk.Run) error {
	alive, gone := b.whileAlive(ctx)
	defer gone()
	var err error
	b.counted = nil
	b.report, err = b.generator.Run(alive, run)
	run.SetClient(b.report.Health(run.Spec().Loop))
	for _, w := range b.notes {
		run.Warn(w)
	}
	b.notes = nil
	for _, w := range b.report.Warnings() {
		w.Message = b.hide(w.Message)
		run.Warn(w)
		if err != nil { // then nothing but the log tells of them
			serve.Logger().Warn(w.Message, "code", w.Code)
		}
	}
	switch {
	case errors.Is(context.Cause(ctx), sdk.ErrAborted), ctx.Err() != nil:
		b.settle(ctx)
		return err
	case b.process != nil && (err != nil || b.report.Failed > 0):
		// A server may take seconds to end after its engine has, and says
		// meanwhile that it is not well.
		probe, stop := context.WithTimeout(ctx, probeTimeout)
		_, unwell := b.server.Get(probe, b.engine.Ready)
		stop()
		if unwell == nil {
			return err
		}
		if b.process.await(ctx, goneWait); b.process.dead() {
			return b.died("run")
		}
	}
	return err
}

// settle waits until the engine has dropped what was broken off.
func (b *backend) settle(ctx context.Context) {
	if b.engine.Settle == nil && (b.engine.Metrics.Path == "" || len(b.engine.Metrics.Busy) == 0) {
		return
	}
	limit := time.Duration(b.engine.MaxCancelMs) * time.Millisecond / 2
	quiet, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if b.engine.Settle != nil {
		b.engine.Settle(quiet, b.server)
		return
	}
	// What fails here is reported by the next call.
	_, _, _ = b.scrapeQuiet(quiet, limit)
}
