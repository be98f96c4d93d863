package openaiserver

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// drive runs n requests of five tokens, gapNs apart in an open loop, and returns each
// completion.
func drive(t *testing.T, l *loading, spec sdk.RunSpec, n int, gapNs int64) (all sdk.Completions, runErr error) {
	t.Helper()
	work := &sdk.Work{ExactLengths: true}
	for i := range n {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(i), 1, 2}, MaxTokens: 5, ArrivalOffsetNs: int64(i) * gapNs})
	}
	spec.Record = sdk.RecordRequest
	run := sdk.NewRun(spec, work, func(event sdk.RunEvent) {
		if done, ok := event.(sdk.Completions); ok {
			all = append(all, done...)
		}
	})
	runErr = l.Run(t.Context(), run)
	if _, err := run.Finish(); err != nil {
		t.Error(err)
	}
	return all, runErr
}

// failures counts how the errors of completions begin, up to a colon.
func failures(done sdk.Completions) map[string]int {
	count := map[string]int{}
	for _, c := range done {
		if c.Failed() {
			code, _, _ := strings.Cut(c.Error, ":")
			count[code]++
		}
	}
	return count
}

func wantCrash(t *testing.T, err error, says string) {
	t.Helper()
	if !errors.Is(err, sdk.EngineCrashed) || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want a crash that says %q", err, says)
	}
}

// Servers that come up in part never are ready, and the time to start bounds them.
func TestAServerThatDoesNotAnswer(t *testing.T) {
	for behave, says := range map[string]string{
		"is deaf": "does not answer /health after 1s", "is mute": "does not answer a request of two tokens after 1s",
	} {
		l := load(t, sdk.Table{"behave": behave, "start_timeout_s": int64(1)}, nil)
		var e *sdk.Error
		if !errors.As(l.err, &e) || e.Code != sdk.Timeout || e.KeyPath != "start_timeout_s" || !strings.Contains(e.Message, says) {
			t.Errorf("%s: error %+v", behave, l.err)
		}
	}
}

func TestAServerThatDiesInAStream(t *testing.T) {
	l := mustLoad(t, sdk.Table{"behave": "dies in a stream"})
	done, err := drive(t, l, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4}, 20, 0)
	wantCrash(t, err, "exit status 139): Fatal Python error: Segmentation fault")
	// Whichever is noticed first, the end of the process or of the streams.
	found := failures(done)
	if len(done) < 4 || found["stream_cut"]+found["server_gone"]+found["connection_lost"]+found["connect"] != len(done) {
		t.Errorf("failures %v of %d", found, len(done))
	}
}

// One that is told to end while streams are open closes its port and waits for its
// clients, which get nothing more and no end.
func TestAServerThatWaitsForItsClients(t *testing.T) {
	l := mustLoad(t, sdk.Table{"behave": "waits for its clients"})
	work := &sdk.Work{ExactLengths: true, Items: []sdk.WorkItem{{TokenIDs: []uint32{1, 2}, MaxTokens: 1 << 20}}}
	var done sdk.Completions
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordRequest}, work, func(event sdk.RunEvent) {
		if c, ok := event.(sdk.Completions); ok {
			done = append(done, c...)
		}
	})
	go func() {
		for run.Heartbeat().Sent < 1 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		_ = syscall.Kill(l.process.pid(), syscall.SIGTERM)
	}()
	wantCrash(t, l.Run(t.Context(), run), "exit status 0")
	if _, err := run.Finish(); err != nil || len(done) != 1 || !strings.HasPrefix(done[0].Error, "server_gone: ") {
		t.Errorf("%+v, error %v", done, err)
	}
}

func TestAServerThatDiesBetweenRuns(t *testing.T) {
	l := mustLoad(t, sdk.Table{})
	if done, err := drive(t, l, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4}, 8, 0); err != nil || len(failures(done)) != 0 {
		t.Fatalf("%v, %v", failures(done), err)
	}
	if err := syscall.Kill(l.process.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-l.process.exited
	done, err := drive(t, l, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4}, 8, 0)
	wantCrash(t, err, "signal: killed")
	for _, c := range done {
		if !c.Failed() {
			t.Errorf("a dead server answered: %+v", c)
		}
	}
}

// A burst of refusals is counted; none is sent again and the others are measured.
func TestBurstsOfRefusals(t *testing.T) {
	for behave, code := range map[string]string{"is busy": "http_429", "is broken": "http_500"} {
		l := mustLoad(t, sdk.Table{"behave": behave})
		done, err := drive(t, l, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4}, 40, 0)
		if found := failures(done); err != nil || len(done) != 40 || len(found) != 1 || found[code] != 10 || l.backend.report.Failed != 10 {
			t.Errorf("%s: %d completions, failures %v, error %v", behave, len(done), found, err)
		}
	}
}

// A server that closes kept connections when they have been idle costs no request.
func TestIdleConnectionsAreClosed(t *testing.T) {
	l := mustLoad(t, sdk.Table{"behave": "is impatient"})
	for range 2 {
		done, err := drive(t, l, sdk.RunSpec{Loop: sdk.LoopOpen}, 5, 400e6)
		if err != nil || len(done) != 5 || len(failures(done)) != 0 {
			t.Errorf("%d completions, failures %v, error %v", len(done), failures(done), err)
		}
	}
}

// A server that still holds a request may keep its prefix cache, and says so: it is
// asked until it has dropped it.
func TestAPrefixCacheThatIsKept(t *testing.T) {
	work := &sdk.Work{Items: []sdk.WorkItem{{TokenIDs: []uint32{1, 2}, MaxTokens: 2}}}
	for behave, says := range map[string]string{"well": "", "drops its cache late": "", "never drops its cache": "the server kept it"} {
		l := mustLoad(t, sdk.Table{"behave": behave, "cache": true})
		err := l.Prepare(t.Context(), work)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: error %v", behave, err)
		}
	}
}

// Ten thousand streams need as many descriptors. Where there are fewer, a closed loop
// is refused, and in an open one, of which nobody knows how many will be in flight,
// requests fail by name; none is lost, and neither the server nor the next Run suffers.
func TestOutOfDescriptors(t *testing.T) {
	l := mustLoad(t, sdk.Table{"max_seqs": int64(7)})
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 200
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	closed, closedErr := drive(t, l, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 10_000}, 10_000, 0)
	open, openErr := drive(t, l, sdk.RunSpec{Loop: sdk.LoopOpen}, 10_000, 0)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var e *sdk.Error
	if !errors.As(closedErr, &e) || e.KeyPath != "load.concurrency" || !strings.Contains(e.Error(), "ulimit -n") || len(closed) != 0 {
		t.Errorf("closed loop: %d completions, error %v", len(closed), closedErr)
	}
	named := 0
	for _, c := range open {
		if strings.Contains(c.Error, "too many open files; raise the limit with ulimit -n") {
			named++
		}
	}
	if openErr != nil || len(open) != 10_000 || named == 0 || named == 10_000 {
		t.Errorf("open loop: %d completions, %d without a descriptor, error %v", len(open), named, openErr)
	}
	if done, err := drive(t, l, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4}, 8, 0); err != nil || len(failures(done)) != 0 {
		t.Errorf("the next Run: failures %v, error %v", failures(done), err)
	}
}
