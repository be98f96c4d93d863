package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

func started(t *testing.T) *host.Plugin {
	t.Helper()
	p, err := host.Start(t.Context(), host.Command{Path: binary}, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// loadAndRun loads with a fault and runs four short requests.
func loadAndRun(ctx context.Context, p *host.Plugin, parameters sdk.Table) (load, run error) {
	cell := sdk.Cell{
		ID: "fault", Model: sdk.Model{ID: "llem/simulated"}, Parameters: parameters,
		Workload: sdk.Workload{RequestsPerPass: 2, MaxInputTokens: 2, MaxOutputTokens: 2, ExactLengths: true},
		Load:     sdk.LoadShape{Loop: sdk.LoopBatch},
	}
	if _, err := p.Load(ctx, sdk.LoadRequest{Cell: cell}, nil); err != nil {
		return err, nil
	}
	item := sdk.WorkItem{TokenIDs: []uint32{1, 2}, MaxTokens: 2}
	prepared, err := p.Prepare(ctx, &sdk.Work{ExactLengths: true, Items: []sdk.WorkItem{item, item, item, item}})
	if err != nil {
		return nil, err
	}
	_, err = p.Run(ctx, sdk.RunSpec{
		WorkID: prepared.WorkID, Loop: sdk.LoopBatch, RequestsPerPass: 2, Record: sdk.RecordToken, HeartbeatMs: 100, RecordSteps: true,
	}, func(sdk.RunEvent) error { return nil })
	return nil, err
}

// What each fault looks like from the host.
func TestFaultsOfTheEngine(t *testing.T) {
	died := func(err error) bool {
		var e *host.DiedError
		return errors.As(err, &e) && e.ExitCode == 7 && strings.Contains(err.Error(), "simulated crash")
	}
	lied := func(words string) func(error) bool {
		return func(err error) bool {
			return sdk.CodeOf(err) == host.PluginLied && strings.Contains(err.Error(), words)
		}
	}
	code := func(code sdk.Code) func(error) bool {
		return func(err error) bool { return sdk.CodeOf(err) == code }
	}
	for _, c := range []struct {
		fault  string
		inLoad bool
		as     func(error) bool
	}{
		{"none", false, func(err error) bool { return err == nil }},
		{"oom", true, code(sdk.OutOfMemory)},
		{"exit_in_load", true, died},
		{"freeze_in_load", true, code(host.HeartbeatLost)},
		{"exit_in_run", false, died},
		{"freeze_in_run", false, code(host.HeartbeatLost)},
		{"panic_in_run", false, code(sdk.Panicked)},
		{"miscount", false, lied("output tokens")},
		{"stamps_outside", false, lied("before the Run began")},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			load, run := loadAndRun(ctx, started(t), sdk.Table{"fault": c.fault})
			err := run
			if c.inLoad {
				err = load
			} else if load != nil {
				t.Error(load)
			}
			if !c.as(err) {
				t.Errorf("load: %v; run: %v", load, run)
			}
		})
	}
}

// A wedged engine sends heartbeats, and only a kill ends it.
func TestAWedgedEngine(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"wedge_in_load", "wedge_in_run", "hang_unload"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			defer cancel()
			p := started(t)
			load, run := loadAndRun(ctx, p, sdk.Table{"fault": fault})
			err := errors.Join(load, run)
			if fault == "hang_unload" {
				if err != nil {
					t.Fatal(err)
				}
				err = p.Unload(ctx)
			}
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, sdk.Timeout) {
				t.Errorf("%v", err)
			}
			select {
			case <-p.Exited():
				t.Error("the process is gone before it was killed")
			default:
			}
			p.Kill()
		})
	}
}

// The child and the grandchild live in a session of their own, and are gone
// after an Unload as after a kill.
func TestChildren(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"unload", "kill"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			p := started(t)
			if load, run := loadAndRun(t.Context(), p, sdk.Table{"children": true}); load != nil || run != nil {
				t.Fatal(load, run)
			}
			var family []int
			for deadline := time.Now().Add(5 * time.Second); len(family) < 2 && time.Now().Before(deadline); {
				family = descendants(t, p.PID())
			}
			if len(family) != 2 {
				t.Fatalf("the process has the descendants %v", family)
			}
			if end == "unload" {
				if err := p.Unload(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else {
				p.Kill()
			}
			// A killed process may need a moment to be gone.
			for deadline := time.Now().Add(5 * time.Second); slices.ContainsFunc(family, alive); {
				if time.Now().After(deadline) {
					t.Fatalf("of %v some are still alive", family)
				}
			}
		})
	}
}

// stat returns the state and parent of a process, or nothing.
func stat(pid int) (state string, parent int) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

func alive(pid int) bool {
	state, _ := stat(pid)
	return state != "" && state != "Z"
}

func descendants(t *testing.T, root int) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if _, parent := stat(pid); parent == root {
			found = append(append(found, pid), descendants(t, pid)...)
		}
	}
	return found
}

// A source that dies takes its stream along; its last words arrive.
func TestASourceThatDies(t *testing.T) {
	t.Parallel()
	p := started(t)
	if _, err := p.Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"fault": "exit", "fault_after_ms": 50.0}}); err != nil {
		t.Fatal(err)
	}
	batches := 0
	err := p.Stream(t.Context(), func(sdk.SampleBatch) error { batches++; return nil })
	var died *host.DiedError
	if !errors.As(err, &died) || died.ExitCode != 7 || batches == 0 {
		t.Errorf("after %d batches: %v", batches, err)
	}
}
