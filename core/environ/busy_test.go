package environ

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// machine writes a file system with processes by pid as "parent utime stime
// cutime cstime".
func machine(t *testing.T, stat string, processes map[int]string, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/stat", stat)
	for pid, p := range processes {
		var parent, u, s, cu, cs int
		if _, err := fmt.Sscan(p, &parent, &u, &s, &cu, &cs); err != nil {
			t.Fatal(err)
		}
		write(fmt.Sprintf("proc/%d/stat", pid), fmt.Sprintf("%d (a) R 1 (b) S %d 7 7 0 -1 4194560 1 2 3 4 %d %d %d %d 20 0 9 0 1\n", pid, parent, u, s, cu, cs))
	}
	for name, text := range files {
		write(name, text)
	}
	return root
}

const v2 = "0::/pod/llem\n"

func TestBusyBetween(t *testing.T) {
	// Two processors for 10 s are 2,000 ticks: 1,300 are idle or wait, 500 ours,
	// of which a child that has ended had 100, and 200 of others.
	a := BusyAt(machine(t, "cpu  1000 0 100 5000 100 10 10 10 500 0\ncpu0 1 1 1 1\n", map[int]string{
		1: "0 9 9 9 9", 100: "1 50 10 0 0", 101: "100 200 40 0 0", 102: "101 60 0 0 0", 900: "1 5 5 0 0",
	}, map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/pod/llem/cpu.stat": "usage_usec 5\nnr_throttled 2\nthrottled_usec 1000\n", "sys/fs/cgroup/pod/cpu.stat": "throttled_usec 50\n"}), 100)
	b0 := machine(t, "cpu  1450 50 250 6200 200 20 20 30 900 0\n", map[int]string{
		1: "0 9 9 9 9", 100: "1 60 20 0 0", 101: "100 500 60 160 0", 103: "101 0 60 0 0", 900: "1 105 105 0 0",
	}, map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/pod/llem/cpu.stat": "throttled_usec 3000\n", "sys/fs/cgroup/pod/cpu.stat": "throttled_usec 550\n"})
	b := BusyAt(b0, 100)
	if a.Err != nil || b.Err != nil || a.OwnTicks != 360 || b.OwnTicks != 860 {
		t.Fatalf("%+v, %+v", a, b)
	}
	a.MonoNs, b.MonoNs = 5e9, 15e9
	s := Between(a, b)
	if s.Others == nil || *s.Others != 190.0/1990 || *s.OwnCPUs != 0.5 || *s.ThrottledNs != 2.5e6 {
		t.Errorf("%+v %v %v", s, *s.Others, *s.ThrottledNs)
	}
	// A server that was there before, a child of which is ours anyway.
	if c := BusyAt(b0, 100, 900, 101); c.OwnTicks != 860+210 {
		t.Errorf("with another process: %+v", c)
	}
	if back := Between(b, a); back.Others != nil || back.Absent == "" || back.ThrottledNs != nil {
		t.Errorf("backwards: %+v", back)
	}
}

// What cannot be read is not known, for a reason.
func TestBusyWithoutInput(t *testing.T) {
	whole := BusyAt(machine(t, "cpu 1 1 1 1\n", map[int]string{7: "1 1 1 1 1"}, nil), 7)
	if whole.Err != nil || whole.ThrottledNs != nil {
		t.Errorf("%+v", whole)
	}
	for name, root := range map[string]string{
		"no /proc":        t.TempDir(),
		"no ticks":        machine(t, "intr 1 2 3\n", map[int]string{7: "1 1 1 1 1"}, nil),
		"no numbers":      machine(t, "cpu 1 -2 3 4 5\n", map[int]string{7: "1 1 1 1 1"}, nil),
		"hidden":          machine(t, "cpu 1 1 1 1\n", map[int]string{8: "1 1 1 1 1"}, nil),
		"damaged process": machine(t, "cpu 1 1 1 1\n", nil, map[string]string{"proc/7/stat": "7 (x) R"}),
	} {
		b := BusyAt(root, 7)
		if s := Between(whole, b); b.Err == nil || s.Others != nil || s.Absent == "" {
			t.Errorf("%s: %+v, %+v", name, b, s)
		}
	}
	old := machine(t, "cpu 1 1 1 1\n", map[int]string{7: "1 1 1 1 1"}, map[string]string{
		"proc/self/cgroup": "5:cpuset:/x\n4:cpu,cpuacct:/docker/a\n", "sys/fs/cgroup/cpu/docker/a/cpu.stat": "nr_periods 9\nthrottled_time 12345\n"})
	if b := BusyAt(old, 7); b.ThrottledNs == nil || *b.ThrottledNs != 12345 {
		t.Errorf("version 1 of the control groups: %+v", b)
	}
}

// On the real machine the work of a child is ours, also after it has ended.
func TestBusyIsOurs(t *testing.T) {
	before := BusyNow()
	work := exec.Command("sh", "-c", "while :; do :; done")
	if err := work.Start(); err != nil {
		t.Fatal(err)
	}
	ours, err := Descendants(os.Getpid())
	if err != nil || !slices.Contains(ours, work.Process.Pid) || !slices.Contains(ours, os.Getpid()) {
		t.Errorf("descendants %v lack %d, %v", ours, work.Process.Pid, err)
	}
	const enough = 20 // ticks
	deadline := time.Now().Add(time.Minute)
	live := BusyNow()
	for live.OwnTicks < before.OwnTicks+enough && time.Now().Before(deadline) {
		live = BusyNow()
	}
	if err := work.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = work.Wait() // it was killed
	after := BusyNow()
	if live.OwnTicks < before.OwnTicks+enough || after.OwnTicks < live.OwnTicks {
		t.Errorf("own ticks went from %d to %d and %d", before.OwnTicks, live.OwnTicks, after.OwnTicks)
	}
	s := Between(before, after)
	if s.Others == nil || *s.Others < 0 || *s.Others > 1 || *s.OwnCPUs <= 0 || strings.TrimSpace(s.Absent) != "" {
		t.Errorf("%+v from %+v and %+v", s, before, after)
	}
}

func FuzzProcess(f *testing.F) {
	f.Add("7 (sh) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1")
	f.Add(") ) )")
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := parseProcess(text); !ok && p != (process{}) {
			t.Errorf("%q gives %+v and is refused", text, p)
		}
	})
}

func BenchmarkBusyNow(b *testing.B) {
	for b.Loop() {
		BusyNow()
	}
}
