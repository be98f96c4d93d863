package sdk

import (
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
