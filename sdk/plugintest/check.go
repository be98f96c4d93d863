package plugintest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Result is the verdict on one rule.
type Result struct {
	Rule string
	Err  error // nil: kept, or skipped
	// Skipped says why the rule was not tried; "" means that it was.
	Skipped string
	// Lacking: it was not tried because this machine lacks what Skipped says, such as
	// the engine. Whether the plugin keeps it is not known.
	Lacking bool
}

// Options say what the plugin is to be driven with. The zero value drives a
// backend with random weights and a source with no parameters.
type Options struct {
	// Cell to load; nil means four short requests a pass for a tiny model with
	// random weights, and none of the plugin's own parameters.
	Cell *sdk.Cell
	// SourceParameters open an energy source.
	SourceParameters sdk.Table
	// Secrets of the backend or source, by parameter key.
	Secrets map[string]string
	// LoadTimeout bounds each Load; 0 means ten minutes.
	LoadTimeout time.Duration
}

const defaultLoadTimeout = 10 * time.Minute

// rule is one sentence of the contract.
type rule struct {
	name  string
	judge func(context.Context, *suite) error
}

// notTried is the error of a rule that does not apply, or cannot be tried.
type notTried struct {
	why     string
	lacking bool
}

func (n notTried) Error() string { return n.why }

func skip(format string, args ...any) error { return notTried{why: fmt.Sprintf(format, args...)} }

// lacking skips a rule for what this machine lacks.
func lacking(format string, args ...any) error {
	return notTried{"this machine lacks what is needed: " + fmt.Sprintf(format, args...), true}
}

// allRules are tried in this order. One that breaks its engine's process does
// not spoil the next: that gets a new one.
func allRules() []rule {
	var all []rule
	for _, part := range [][]rule{identityRules, loadRules, runRules, stopRules, endRules, sourceRules} {
		all = append(all, part...)
	}
	return all
}

// Check tries every rule on the plugin that command (program and arguments)
// starts, and returns one result for each, in order. At most one Options is
// looked at.
func Check(ctx context.Context, command []string, options ...Options) []Result {
	s := newSuite(command, options...)
	defer s.close()
	var results []Result
	for _, r := range allRules() {
		results = append(results, s.try(ctx, r))
	}
	return results
}

// Run is Check with a subtest for each rule.
func Run(t *testing.T, command []string, o Options) {
	t.Helper()
	s := newSuite(command, o)
	defer s.close()
	for _, r := range allRules() {
		t.Run(r.name, func(t *testing.T) {
			switch result := s.try(t.Context(), r); {
			case result.Err != nil:
				t.Error(result.Err)
			case result.Skipped != "":
				t.Skip(result.Skipped)
			}
		})
	}
}

// ruleLimit bounds the part of a rule that is not loading.
const ruleLimit = 2 * time.Minute

func (s *suite) try(ctx context.Context, r rule) Result {
	ctx, cancel := context.WithTimeout(ctx, ruleLimit+s.loadTimeout())
	defer cancel()
	err := r.judge(ctx, s)
	var reason notTried
	if errors.As(err, &reason) {
		return Result{Rule: r.name, Skipped: reason.why, Lacking: reason.lacking}
	}
	if err != nil {
		s.discard()
		s.broken[r.name] = true
	}
	return Result{Rule: r.name, Err: err}
}
