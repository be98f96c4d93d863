package measure

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/sdk"
)

// orphan is a busy process that did not come of this one.
func orphan(t *testing.T) int {
	t.Helper()
	text, err := exec.Command("sh", "-c", "sh -c 'while :; do :; done' >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

// The CPU time of a server that was there before is the deployment's if the backend
// names it, and others' if not: at both ends of the Run.
func TestTheTimeOfAnAttachedServerIsOurs(t *testing.T) {
	pid := orphan(t)
	time.Sleep(2 * time.Second) // what it had before is no part of the Run
	cpus := func(report sdk.LoadReport) float64 {
		var w watch
		w.runBegins(nil, nil, report)
		time.Sleep(500 * time.Millisecond)
		w.runEnds(t.Context(), nil, nil, report)
		shares := environ.Between(w.busyBegin, w.busyEnd)
		if shares.OwnCPUs == nil {
			t.Fatal(shares.Absent)
		}
		return *shares.OwnCPUs
	}
	named := cpus(sdk.LoadReport{Devices: []sdk.DeviceUse{{ID: "cpu", Kind: "cpu", PID: int64(pid)}}})
	if named < 0.1 || named > 1.5 {
		t.Errorf("%.2f CPUs of a busy process that is named", named)
	}
	if not := cpus(sdk.LoadReport{}); not > named/2 {
		t.Errorf("%.2f CPUs without it, %.2f with it", not, named)
	}
}
