package plugintest_test

import (
	"slices"
	"testing"

	"github.com/llenergymeasure/llem/sdk/host"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// A look at the machine tells what it lacks from what no machine has, and an engine
// that is there from one that was not looked for.
func TestLookAround(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode    string
		lacking []string
		doubts  []string
		unknown string
	}{
		{mode: ""},
		{mode: "no package", lacking: []string{"threads: libthreads is not installed; install it"}},
		{mode: "slow here", doubts: []string{"threads: there are two CPUs"}},
		{mode: "no file", unknown: "model.path: the engine loads a file"},
		{mode: "no cell", unknown: "threads: there are never enough"},
	} {
		argv := command(t, "backend", c.mode)
		p, err := host.Start(t.Context(), host.Command{Path: argv[0], Args: argv[1:]}, host.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := plugintest.LookAround(t.Context(), p)
		p.Kill()
		if err != nil || !slices.Equal(got.Lacking, c.lacking) || !slices.Equal(got.Doubts, c.doubts) || got.Unknown != c.unknown {
			t.Errorf("%q: %+v, %v", c.mode, got, err)
		}
	}
}
