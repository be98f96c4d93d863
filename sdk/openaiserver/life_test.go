package openaiserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cell := testCell(sdk.Table{})
	plugintest.Run(t, []string{path}, plugintest.Options{Cell: &cell})
}

func TestALoad(t *testing.T) {
	l := mustLoad(t, sdk.Table{"max_seqs": int64(7), "cache": true, "config": sdk.Table{"x": 1.0}, "threads": int64(3), "env": sdk.Table{"A": int64(1)}})
	if got, want := strings.Join(l.stages, ", "), "start begin, weights begin, weights progress, weights end, start end"; got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	for file, want := range map[string]string{
		"cmdline": "\x00--max-seqs\x007\x00--cache\x00--config\x00{\"x\":1.0}\x00", "environ": "\x00TOKENS_TEST_THREADS=3\x00A=1\x00",
	} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", l.process.pid(), file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s is %q, error %v", file, text, err)
		}
	}
}

// Counts of a Run are the server's.
func TestCounts(t *testing.T) {
	l := mustLoad(t, sdk.Table{})
	work := &sdk.Work{ExactLengths: true}
	for i := range 20 {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(i), 1, 2}, MaxTokens: 5})
	}
	before, err := l.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordRequest}, work, func(sdk.RunEvent) {})
	if err := l.Run(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	after, err := l.Counters(t.Context())
	if err != nil || *after.OutputTokens-*before.OutputTokens != 100 || *after.PromptTokens-*before.PromptTokens != 60 || after.Preemptions != nil {
		t.Errorf("from %+v to %+v, error %v", before, after, err)
	}
	if after.Named[0] != (sdk.NamedMetric{Name: "seconds_sum", Unit: "s", Value: 0.5}) || len(after.Named) != 1 {
		t.Errorf("named %+v", after.Named)
	}
}

// What an engine knows to count wrong for a workload is unknown.
func TestMistrustedCounters(t *testing.T) {
	l := &loading{backend: Backend(testEngine()).(*backend)}
	t.Cleanup(func() { unload(t, l) })
	cell := testCell(sdk.Table{})
	cell.Workload.MaxInputTokens = 101
	if _, err := l.Load(t.Context(), sdk.LoadRequest{Cell: cell, WorkDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {})); err != nil {
		t.Fatal(err)
	}
	if c, err := l.Counters(t.Context()); err != nil || c.EngineSteps != nil || c.OutputTokens == nil {
		t.Errorf("%+v, error %v", c, err)
	}
}

func TestAServerThatFailsToStart(t *testing.T) {
	for behave, want := range map[string]struct {
		code sdk.Code
		key  string
		says []string
	}{
		"dies loading":       {sdk.EngineCrashed, "", []string{"exit status 0", "RuntimeError: the weights are broken"}},
		"rejects":            {sdk.UnsupportedParameter, "max_seqs", []string{"exit status 2", "invalid choice: 7"}},
		"runs out of memory": {sdk.OutOfMemory, "", []string{"CUDA out of memory"}},
		"hangs":              {sdk.Timeout, "start_timeout_s", []string{"/health", "after 1s", "loading 50%"}},
		"stops early":        {sdk.UnsupportedFeature, "", []string{"exactly two tokens was answered with 1"}},
		"hides its output":   {sdk.UnsupportedFeature, "", []string{"neither ids nor text"}},
		"dies at work":       {sdk.EngineCrashed, "", []string{"EngineCore encountered an issue"}},
	} {
		t.Run(behave, func(t *testing.T) {
			parameters := sdk.Table{"behave": behave, "max_seqs": int64(7)}
			if behave == "hangs" {
				parameters["start_timeout_s"] = int64(1)
			}
			l := load(t, parameters, nil)
			var e *sdk.Error
			if !errors.As(l.err, &e) || e.Code != want.code || e.KeyPath != want.key {
				t.Fatalf("error %+v", l.err)
			}
			for _, words := range want.says {
				if !strings.Contains(e.Message, words) {
					t.Errorf("%q does not say %q", e.Message, words)
				}
			}
		})
	}
}

// A server whose port was taken meanwhile gets another one.
func TestAPortThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	find, asked := freePort, 0
	defer func() { freePort = find }()
	freePort = func() (int, error) {
		if asked++; asked == 1 {
			return taken.Addr().(*net.TCPAddr).Port, nil
		}
		return find()
	}
	if mustLoad(t, sdk.Table{}); asked != 2 {
		t.Errorf("%d ports were asked for", asked)
	}
}

func TestAServerThatDiesAtWork(t *testing.T) {
	l := mustLoad(t, sdk.Table{"behave": "dies later"})
	work := &sdk.Work{ExactLengths: true, Items: []sdk.WorkItem{{TokenIDs: []uint32{1, 2}, MaxTokens: 9}, {TokenIDs: []uint32{3, 4}, MaxTokens: 9}}}
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 2, Record: sdk.RecordRequest}, work, func(sdk.RunEvent) {})
	err := l.Run(t.Context(), run)
	if !errors.Is(err, sdk.EngineCrashed) || !strings.Contains(err.Error(), "EngineCore encountered an issue") {
		t.Errorf("error %v", err)
	}
	if _, err := run.Finish(); err != nil {
		t.Error(err)
	}
	if _, err := l.Counters(t.Context()); !errors.Is(err, sdk.EngineCrashed) {
		t.Errorf("counters of a dead server: %v", err)
	}
}

// The child of a server that is killed lives on, as vLLM's engine does, until
// Unload.
func TestAnOrphanIsFound(t *testing.T) {
	l := mustLoad(t, sdk.Table{})
	p := l.process
	if err := syscall.Kill(p.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if orphans := p.family.Look(); len(orphans) != 1 {
		t.Errorf("orphans %v", orphans)
	}
	unload(t, l)
}

// A stopped server is killed when the time is up.
func TestAServerThatDoesNotListen(t *testing.T) {
	l := mustLoad(t, sdk.Table{})
	if err := syscall.Kill(l.process.pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	p := l.process
	if err := l.Unload(ctx); err != nil || len(p.family.Look()) != 0 {
		t.Errorf("Unload: %v; left %v", err, p.family.Look())
	}
}

func TestAnAttachedServer(t *testing.T) {
	t.Setenv("TOKENS_TEST_KEY", "s3cret")
	first := load(t, sdk.Table{}, map[string]string{"api_key": "s3cret"})
	if first.err != nil {
		t.Fatal(first.err)
	}
	at := sdk.Table{"mode": "attach", "url": first.server.URL}
	second := load(t, at, map[string]string{"api_key": "s3cret"})
	if second.err != nil || second.process != nil || len(second.report.Warnings) != 1 || second.report.Warnings[0].Code != "attached" {
		t.Fatalf("%+v, error %v", second.report, second.err)
	}
	if err := second.Unload(t.Context()); err != nil || first.process.dead() {
		t.Errorf("Unload: %v; the server is gone: %v", err, first.process.dead())
	}
	if broken := load(t, at, map[string]string{"api_key": "s3cret\n"}); !errors.Is(broken.err, sdk.UnsupportedParameter) || strings.Contains(broken.err.Error(), "s3cret") {
		t.Errorf("error %+v", broken.err)
	}
	wrong := load(t, at, map[string]string{"api_key": "wrong"})
	var e *sdk.Error
	if !errors.As(wrong.err, &e) || e.Code != sdk.Permission || e.KeyPath != "api_key" || strings.Contains(e.Error(), "s3cret") {
		t.Errorf("error %+v", wrong.err)
	}
}

// An attached server was said to be running: nobody waits long for one to appear.
func TestNothingToAttachTo(t *testing.T) {
	t.Parallel()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	l := load(t, sdk.Table{"mode": "attach", "url": fmt.Sprintf("http://127.0.0.1:%d", port)}, nil)
	var e *sdk.Error
	if !errors.As(l.err, &e) || e.Code != sdk.Timeout || e.KeyPath != urlKey || !strings.Contains(e.Message, "nothing has listened at http://127.0.0.1:") {
		t.Errorf("error %v", l.err)
	}
	if took := time.Since(begin); took < refusedLimit || took > 6*refusedLimit {
		t.Errorf("after %s", took)
	}
}

// newServer is the address of a server that is running.
func newServer(t *testing.T, behave string) string {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess([]string{path, "serve-tokens", strconv.Itoa(port), "--behave", behave}, nil, t.TempDir(), port, nil, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return fmt.Sprintf("http://localhost:%d/", port)
}

// The study's model is asked for by the name that an attached server has for it; what
// cannot be told from it is said.
func TestTheModelOfAnAttachedServer(t *testing.T) {
	one, more := newServer(t, "well"), newServer(t, "has more models")
	for _, c := range []struct{ url, model, says string }{
		{one, "numbers", ""}, {one, "org/else", "it calls its model numbers, and the result calls it org/else"},
		{more, "numbers", ""}, {more, "org/numbers", ""}, {more, "signs", "the server has letters, numbers, and none of them is called signs"},
	} {
		b := Backend(testEngine()).(*backend)
		cell := testCell(sdk.Table{"mode": "attach", "url": c.url})
		cell.Model = sdk.Model{ID: c.model}
		report, err := b.Load(t.Context(), sdk.LoadRequest{Cell: cell}, sdk.NewProgress(func(sdk.StageEvent) {}))
		said := fmt.Sprint(err)
		if err == nil {
			said = report.Warnings[0].Message
		}
		if c.says == "" && (err != nil || strings.Contains(said, "calls")) || !strings.Contains(said, c.says) {
			t.Errorf("%s: %q, want %q", c.model, said, c.says)
		}
	}
}
