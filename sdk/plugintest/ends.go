package plugintest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
)

// The rules about a backend's end.
var endRules = []rule{
	{"Unload may be repeated, and nothing runs after it", unloads},
	{"nothing is left of a backend killed during a Run", killedRunning},
}

func unloads(ctx context.Context, s *suite) error {
	e, err := s.loaded(ctx)
	if err != nil {
		return err
	}
	defer s.discard()
	for _, which := range []string{"the first", "a second"} {
		if err := e.Unload(ctx); err != nil {
			return fmt.Errorf("%s Unload: %w", which, err)
		}
	}
	_, err = e.Prepare(ctx, &sdk.Work{Items: []sdk.WorkItem{{TokenIDs: []uint32{1}, MaxTokens: 1}}})
	if err := refused("Prepare after Unload", err); err != nil {
		return err
	}
	workDir, cacheDir, err := s.dirs()
	if err != nil {
		return err
	}
	_, err = e.Load(ctx, s.request(workDir, cacheDir), nil)
	return refused("Load after Unload", err)
}

// killedRunning looks at the process while an engine is at work, when there
// is most that could be left.
func killedRunning(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	var leavings error
	err = e.interrupt(ctx, func(string) error {
		leavings = killed(e.Plugin)
		return nil
	})
	s.discard()
	var reason notTried
	if errors.As(err, &reason) {
		return err
	}
	return leavings
}

// killLimit is how long a kill may take in all.
const killLimit = 5 * time.Second

// killed kills the process and says what is left of it: processes that
// descend from it or carry its instance's cookie, and its socket's directory.
func killed(p *host.Plugin) error {
	cookie, socketDir := environmentOf(p.PID())
	family, err := descendants(p.PID())
	if err != nil {
		return err
	}
	begin := time.Now()
	p.Kill()
	if took := time.Since(begin); took > killLimit {
		return fmt.Errorf("the kill took %v", took)
	}
	var left []error
	for _, member := range family {
		if member.alive() {
			left = append(left, fmt.Errorf("process %d (%s) of it is still alive", member.pid, member.name))
		}
	}
	if cookie != "" {
		if pids := proc.Survivors(cookie); len(pids) > 0 {
			left = append(left, fmt.Errorf("processes of its instance are still alive: %v", pids))
		}
	}
	if _, err := os.Stat(socketDir); socketDir != "" && err == nil {
		left = append(left, fmt.Errorf("its socket's directory %s is still there", socketDir))
	}
	return errors.Join(left...)
}
