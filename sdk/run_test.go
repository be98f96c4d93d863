package sdk

import (
	"slices"
	"strings"
	"testing"
)

// A Run's warnings fit into one message, and what is left out is said.
func TestWarningsOfARunAreBounded(t *testing.T) {
	run := NewRun(RunSpec{}, &Work{}, func(RunEvent) {})
	run.Warn(Warning{Code: "long", Message: strings.Repeat("é", mostWarningText)})
	for range mostWarnings + 8 {
		run.Warn(Warning{Code: "short", Message: "x"})
	}
	for range 2 { // asking twice changes nothing
		finished, err := run.Finish()
		if err != nil {
			t.Fatal(err)
		}
		list := finished.Warnings
		if len(list) != mostWarnings+1 || list[1].Code != "short" {
			t.Fatalf("%d warnings", len(list))
		}
		if n := len(list[0].Message); n > mostWarningText+4 || !strings.HasSuffix(list[0].Message, "é ...") {
			t.Errorf("the long text has %d bytes and ends with %q", n, list[0].Message[n-8:])
		}
		if last := list[mostWarnings]; last.Code != "warnings_left_out" || !strings.HasPrefix(last.Message, "9 more") {
			t.Errorf("the last one is %+v", last)
		}
	}
}

// A request is due when it is sent or, in a batch loop, when its pass begins; what a
// plugin says stays.
func TestIntendedStamps(t *testing.T) {
	intended := func(loop Loop) (all []int64) {
		run := NewRun(RunSpec{Loop: loop, RequestsPerPass: 3}, &Work{Items: make([]WorkItem, 3)}, func(e RunEvent) {
			if list, ok := e.(Completions); ok {
				for _, c := range list {
					all = append(all, c.IntendedNs)
				}
			}
		})
		complete := func() {
			run.Complete(Completion{SentNs: 100})
			run.Complete(Completion{Request: 1, SentNs: 150})
			run.Complete(Completion{Request: 2, SentNs: 150, IntendedNs: 120})
		}
		if loop == LoopBatch {
			for pass := range run.Passes(t.Context()) {
				pass.BeginAt(100)
				complete()
			}
		} else {
			for range 3 {
				run.Next(t.Context())
			}
			complete()
		}
		if _, err := run.Finish(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	for loop, want := range map[Loop][]int64{LoopBatch: {100, 100, 120}, LoopClosed: {100, 150, 120}} {
		if got := intended(loop); !slices.Equal(got, want) {
			t.Errorf("%s: intended %v, want %v", loop, got, want)
		}
	}
}
