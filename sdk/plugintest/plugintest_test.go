package plugintest_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/plugintest"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// The test binary is also the plugin under test: its arguments are then the
// kind of plugin and how it is wrong.
func TestMain(m *testing.M) {
	if !transport.Started() {
		os.Exit(m.Run())
	}
	kind, mode := os.Args[1], os.Args[2]
	switch kind {
	case "both":
		serve.Both(&engine{mode: mode}, &sensor{mode: mode})
	case "backend":
		serve.Backend(&engine{mode: mode})
	case "source":
		serve.EnergySource(&sensor{mode: mode})
	case "sloppy":
		serveSloppy()
	case "garbage":
		fmt.Println("Loading, please wait")
	}
}

// command starts this binary as a plugin.
func command(t *testing.T, kind, mode string) []string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{path, kind, mode}
}

// A correct plugin of both kinds keeps every rule, and none is left out.
func TestACorrectPlugin(t *testing.T) {
	t.Parallel()
	for _, result := range plugintest.Check(t.Context(), command(t, "both", "")) {
		if result.Err != nil || result.Skipped != "" {
			t.Errorf("%s: %v %s", result.Rule, result.Err, result.Skipped)
		}
	}
}

// wrongs are plugins that break one rule each.
var wrongs = []struct {
	kind, mode string
	rule       string   // how its name begins
	words      []string // of the error
}{
	{"garbage", "", "it shakes hands", []string{"Loading, please wait"}},
	{"backend", "description", "its description", []string{"Bad Name", `"v1"`}},
	{"backend", "schema", "its parameter schema", []string{
		"threads: the default 65: 65 is above", "kv_type: the doc is empty", "token: a secret cannot be sweepable", "deep.key: a secret inside a table",
		"threads: the key occurs twice", "plugin: the key is reserved",
	}},
	{"backend", "verdicts", "Check gives", []string{"2 verdicts on 3 cells"}},
	{"sloppy", "", "requests that it does not fully", []string{"unknown field"}},
	{"backend", "load", "Load reports", []string{"does not come up"}},
	{"backend", "open stage", "Load reports", []string{"began and did not end"}},
	{"backend", "unresolved", "Load reports", []string{"threads is missing"}},
	{"backend", "short output", "passes, requests", []string{"has 3 output tokens"}},
	{"backend", "failures", "passes, requests", []string{"it never works"}},
	{"backend", "unnamed warning", "passes, requests", []string{"Too slow", "lower-case words"}},
	{"backend", "concurrency", "a closed loop", []string{"4 requests were in flight"}},
	{"backend", "unscheduled", "an open loop", []string{"was due", "after the Run's start"}},
	{"backend", "forgets what waits", "an open loop", []string{"were sent and", "are on record"}},
	{"backend", "gaps inside", "gaps between passes", []string{"0s on average lie between"}},
	{"backend", "falling counter", "the engine's counters", []string{"fell from -1"}},
	{"backend", "slow abort", "Stop(abort)", []string{"after Stop(abort)"}},
	{"backend", "slow cancel", "a cancelled Run", []string{"no new Run was accepted"}},
	{"backend", "unload", "Unload may", []string{"does not go away"}},
	{"backend", "leaves a child", "nothing is left of a backend", []string{"still alive"}},
	{"source", "no domain", "Open finds", []string{"no domain"}},
	{"source", "domains", "Open finds", []string{"is in J, not in W", "lies within it", "update period"}},
	{"source", "gap", "samples arrive", []string{"batch 1 was its turn"}},
	{"source", "watermark", "samples arrive", []string{"after the batch's own watermark"}},
	{"source", "standing stamp", "samples arrive", []string{"sample 0 is stamped"}},
	{"source", "falling counter", "samples arrive", []string{"fell from 0 to -1"}},
	{"source", "silent domain", "samples arrive", []string{`["node"]`}},
	{"source", "deaf", "Close ends", []string{"must end"}},
}

// atOnce bounds the plugins under test at a time. They wait more than they
// work, but rules have time limits.
const atOnce = 10

func TestAWrongPluginBreaksItsRule(t *testing.T) {
	t.Parallel()
	places := make(chan struct{}, atOnce)
	all := make([][]plugintest.Result, len(wrongs))
	var checks sync.WaitGroup
	for i, wrong := range wrongs {
		argv := command(t, wrong.kind, wrong.mode)
		checks.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			all[i] = plugintest.Check(t.Context(), argv)
		})
	}
	checks.Wait()
	for i, wrong := range wrongs {
		t.Run(wrong.kind+" "+wrong.mode, func(t *testing.T) {
			broken := 0
			for _, result := range all[i] {
				if result.Err == nil {
					continue
				}
				broken++
				if !strings.HasPrefix(result.Rule, wrong.rule) {
					t.Errorf("the wrong rule is broken: %s: %v", result.Rule, result.Err)
				}
				for _, words := range wrong.words {
					if !strings.Contains(result.Err.Error(), words) {
						t.Errorf("%s: %v; want a word on %q", result.Rule, result.Err, words)
					}
				}
			}
			if broken != 1 {
				t.Errorf("%d rules are broken, want one", broken)
			}
		})
	}
}

// What this machine lacks is no fault of the plugin, and is told.
func TestWhatIsMissingIsSkippedWithItsReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, mode, words string }{
		{"backend", "no engine", "libengine.so is not installed"},
		{"backend", "no package", "this machine lacks what is needed: threads: libthreads is not installed; install it"},
		{"source", "forbidden", "the counter may not be read; chmod it"},
	} {
		told := 0
		for _, result := range plugintest.Check(t.Context(), command(t, c.kind, c.mode)) {
			if result.Err != nil {
				t.Errorf("%s %s: %s: %v", c.kind, c.mode, result.Rule, result.Err)
			}
			if strings.Contains(result.Skipped, c.words) {
				told++
				if !result.Lacking {
					t.Errorf("%s %s: %s: it does not say that the machine lacks it", c.kind, c.mode, result.Rule)
				}
			}
		}
		if told == 0 {
			t.Errorf("%s %s: no rule was skipped for the reason that %q", c.kind, c.mode, c.words)
		}
	}
}

// Run gives the same verdicts as subtests.
func TestRun(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, command(t, "both", ""), plugintest.Options{})
}

// A cell of its own would be refused on every machine: that is not what the machine lacks.
func TestARefusedCellIsNoLack(t *testing.T) {
	t.Parallel()
	for _, result := range plugintest.Check(t.Context(), command(t, "backend", "no cell")) {
		if result.Lacking {
			t.Errorf("%s: %s", result.Rule, result.Skipped)
		}
	}
}
