package plugintest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// suite is one plugin under test: what was learned of it so far, and the
// process that rules share because loading is dear.
type suite struct {
	command []string
	options Options

	about   *sdk.DescribeReport // nil: not started yet
	broken  map[string]bool     // rules, by name
	scratch string              // directory of the loads' files

	cell     *sdk.Cell // what is loaded; nil: not settled yet
	verdict  sdk.CellCheck
	engine   *engine // loaded, or nil
	notReady error   // why no engine can be had, a notTried
}

func newSuite(command []string, options ...Options) *suite {
	s := &suite{command: command, broken: map[string]bool{}}
	if len(options) > 0 {
		s.options = options[0]
	}
	return s
}

func (s *suite) loadTimeout() time.Duration {
	if s.options.LoadTimeout > 0 {
		return s.options.LoadTimeout
	}
	return defaultLoadTimeout
}

// close ends what is left of the plugin.
func (s *suite) close() {
	s.discard()
	if s.scratch != "" {
		// Only files in the temporary directory could stay.
		_ = os.RemoveAll(s.scratch)
	}
}

// discard ends the shared process.
func (s *suite) discard() {
	if s.engine != nil {
		s.engine.Kill()
		s.engine = nil
	}
}

// startLimit is how long a plugin may take to its first answer.
const startLimit = 10 * time.Second

// launch starts a process of its own.
func (s *suite) launch(ctx context.Context) (*host.Plugin, error) {
	if len(s.command) == 0 {
		return nil, errors.New("start the plugin: the command is empty; name its program")
	}
	path := s.command[0]
	if !strings.ContainsRune(path, filepath.Separator) {
		found, err := exec.LookPath(path)
		if err != nil {
			return nil, fmt.Errorf("start the plugin: %w", err)
		}
		path = found
	}
	return host.Start(ctx, host.Command{Path: path, Args: s.command[1:]}, host.Options{StartTimeout: startLimit})
}

// started starts a process for a rule about the given kind ("" = any), or
// tells why the rule does not apply.
func (s *suite) started(ctx context.Context, kind sdk.Kind) (*host.Plugin, error) {
	switch {
	case s.broken[handshakeRule]:
		return nil, skip("the plugin does not start")
	case kind != "" && s.about != nil && !slices.Contains(s.about.Kinds, kind):
		return nil, skip("it is no %s", kind)
	}
	return s.launch(ctx)
}

// with runs judge on a process of its own.
func (s *suite) with(ctx context.Context, kind sdk.Kind, judge func(*host.Plugin) error) error {
	p, err := s.started(ctx, kind)
	if err != nil {
		return err
	}
	defer p.Kill()
	return judge(p)
}

// dirs makes a load's directories. The cache is common to all of them.
func (s *suite) dirs() (work, cache string, err error) {
	if s.scratch == "" {
		if s.scratch, err = os.MkdirTemp("", "llem-conformance-"); err != nil {
			return "", "", fmt.Errorf("make a directory for the loads: %w", err)
		}
	}
	cache = filepath.Join(s.scratch, "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", "", fmt.Errorf("make a directory for the loads: %w", err)
	}
	work, err = os.MkdirTemp(s.scratch, "load-")
	return work, cache, err
}
