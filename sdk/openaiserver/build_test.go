package openaiserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// building loads an engine that needs something built by a shell's script, which
// finds the directory for it in $1.
func building(t *testing.T, cache, script string, parameters sdk.Table) (l *loading, built string) {
	e := testEngine()
	e.Build = func(_ context.Context, launch Launch) (*Build, error) {
		return &Build{Dir: filepath.Join(cache, "thing"), Message: "build the thing", Command: func(into string) (argv, env []string) {
			return []string{"/bin/sh", "-c", script, "sh", into}, []string{"WORD=made"}
		}}, nil
	}
	start := e.Command
	e.Command = func(launch Launch) ([]string, error) {
		built = launch.Built
		return start(launch)
	}
	l = &loading{backend: Backend(e).(*backend)}
	t.Cleanup(func() { unload(t, l) })
	progress := sdk.NewProgress(func(e sdk.StageEvent) { l.stages = append(l.stages, string(e.Kind)+" "+string(e.Moment)) })
	_, l.err = l.Load(t.Context(), sdk.LoadRequest{Cell: testCell(parameters), WorkDir: t.TempDir()}, progress)
	return l, built
}

func TestWhatIsBuiltIsKept(t *testing.T) {
	cache := t.TempDir()
	for _, script := range []string{`echo $WORD $OTHER > "$1/it"`, "exit 3"} { // the second is not run
		l, built := building(t, cache, script, sdk.Table{"env": sdk.Table{"OTHER": "well"}})
		if l.err != nil {
			t.Fatal(l.err)
		}
		if got := strings.Join(l.stages[:3], ", "); got != "build begin, build end, start begin" {
			t.Errorf("stages %s", got)
		}
		text, err := os.ReadFile(filepath.Join(built, "it"))
		if err != nil || string(text) != "made well\n" || built != filepath.Join(cache, "thing") {
			t.Errorf("%s has %q, error %v", built, text, err)
		}
	}
}

func TestABuildThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		script     string
		parameters sdk.Table
		code       sdk.Code
		says       string
	}{
		"it fails":          {`echo half > "$1/it"; echo "ValueError: no kernel" >&2; exit 3`, sdk.Table{}, sdk.EngineCrashed, "build the engine: the build ended (exit status 3): ValueError: no kernel"},
		"it makes nothing":  {"exit 0", sdk.Table{}, sdk.EngineCrashed, "the build ended (exit status 0)"},
		"it does not end":   {"sleep 600 & sleep 600", sdk.Table{"start_timeout_s": int64(1)}, sdk.Timeout, "start_timeout_s: it is not ready after 1s"},
		"memory is missing": {"echo CUDA out of memory; exit 1", sdk.Table{}, sdk.OutOfMemory, "CUDA out of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			cache := t.TempDir()
			l, _ := building(t, cache, c.script, c.parameters)
			if !errors.Is(l.err, c.code) || !strings.Contains(l.err.Error(), c.says) {
				t.Errorf("error %v", l.err)
			}
			unload(t, l) // it looks for processes that are left
			if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
				t.Errorf("%v is left, error %v", left, err)
			}
		})
	}
}

// What an engine counts in its own way is told as any counters, and what it warns of
// is told with the next Run.
func TestCountersOfAnEnginesOwn(t *testing.T) {
	e := testEngine()
	e.Metrics = Metrics{}
	steps, settled, counted := int64(7), 0, 0
	e.Count = func(context.Context, *Server) (sdk.Counters, []sdk.Warning, error) {
		counted++
		return sdk.Counters{EngineSteps: &steps}, []sdk.Warning{{Code: "some_lost", Message: "some steps were lost"}}, nil
	}
	e.Settle = func(context.Context, *Server) { settled++ }
	l := &loading{backend: Backend(e).(*backend)}
	t.Cleanup(func() { unload(t, l) })
	report, err := l.Load(t.Context(), sdk.LoadRequest{Cell: testCell(sdk.Table{}), WorkDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
	if err != nil || len(report.Warnings) != 1 {
		t.Fatalf("%+v, error %v", report, err)
	}
	for _, want := range []int{0, 1} {
		run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordRequest}, &sdk.Work{Items: []sdk.WorkItem{{TokenIDs: []uint32{1}, MaxTokens: 1}}}, func(sdk.RunEvent) {})
		if err := l.Run(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		finished, err := run.Finish()
		found := 0
		for _, w := range finished.Warnings {
			if w.Code == "some_lost" {
				found++
			}
		}
		if err != nil || found != want {
			t.Errorf("warnings %+v, error %v", finished.Warnings, err)
		}
		for range 2 { // nothing is asked twice between two Runs
			if c, err := l.Counters(t.Context()); err != nil || *c.EngineSteps != 7 {
				t.Errorf("%+v, error %v", c, err)
			}
		}
	}
	if counted != 3 {
		t.Errorf("counted %d times", counted)
	}
	broken, stop := context.WithCancelCause(t.Context())
	stop(sdk.ErrAborted)
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordRequest}, &sdk.Work{Items: []sdk.WorkItem{{TokenIDs: []uint32{1}, MaxTokens: 9}}}, func(sdk.RunEvent) {})
	if _ = l.Run(broken, run); settled != 1 {
		t.Errorf("settled %d times", settled)
	}
}
