package openaiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Build is what must be made of a model before a server can start, and is dear
// enough to be kept for later loads.
type Build struct {
	// Dir is where it is kept. Its name must change with all that the result
	// depends on.
	Dir string
	// Command makes it in an empty directory.
	Command func(into string) (argv, env []string)
	// Message is for the stage.
	Message string
}

const buildPhase = "build the engine"

// build returns the directory of what the engine needs built, making it if it is not
// there yet: a stage of its own, before the server's start.
func (b *backend) build(ctx context.Context, req sdk.LoadRequest, progress *sdk.Progress) (string, error) {
	if b.engine.Build == nil {
		return "", nil
	}
	build, err := b.engine.Build(ctx, Launch{Request: req, Settings: b.settings})
	if err != nil || build == nil {
		return "", err
	}
	if _, err := os.Stat(build.Dir); err == nil {
		progress.Begin(sdk.StageBuild, build.Message+": kept from an earlier load in "+build.Dir)()
		return build.Dir, nil
	}
	defer progress.Begin(sdk.StageBuild, build.Message)()
	fresh, err := emptyBeside(build.Dir)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(fresh) }() // it is not there any more if all went well
	if err := b.make(ctx, build, fresh, req); err != nil {
		return "", err
	}
	// Whoever made the same meanwhile has made it as well.
	if err := os.Rename(fresh, build.Dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("keep what was built: %w", err)
	}
	return build.Dir, nil
}

// emptyBeside makes a directory that can be renamed to dir.
func emptyBeside(dir string) (string, error) {
	parent := filepath.Dir(dir)
	err := os.MkdirAll(parent, 0o755)
	if err == nil {
		dir, err = os.MkdirTemp(parent, ".building-")
	}
	if err != nil {
		return "", fmt.Errorf("make a directory to build in: %w", err)
	}
	return dir, nil
}

// make runs the build to its end. As a server it dies with this process.
func (b *backend) make(ctx context.Context, build *Build, into string, req sdk.LoadRequest) error {
	argv, env := build.Command(into)
	env = slices.Concat(env, variables(b.settings), visible(req))
	p, err := startProcess(argv, env, req.WorkDir, 0, nil, func(string) {})
	if err != nil {
		return missing(argv[0], err)
	}
	b.process = p
	limit := time.Duration(b.settings.Int(timeoutKey, startLimitS)) * time.Second
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-ctx.Done():
		_ = p.stop(ctx) // at once; Unload says what is left of it
		return ctx.Err()
	case <-timer.C:
		_ = p.stop(ctx) // likewise
		return &sdk.Error{
			Code: sdk.Timeout, KeyPath: timeoutKey, Phase: buildPhase, Message: fmt.Sprintf("it is not ready after %v", limit),
			Advice: "its log is in the trial's log; raise start_timeout_s if it only needs longer",
		}
	}
	made, err := os.ReadDir(into)
	if err != nil {
		return fmt.Errorf("look at what was built: %w", err)
	}
	if p.status != nil || len(made) == 0 {
		return b.died(buildPhase)
	}
	b.process = nil
	return p.stop(ctx)
}
