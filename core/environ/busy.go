package environ

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// Busy is what the processors had done by one moment. Two of them tell who was
// at work between: see Between.
type Busy struct {
	MonoNs int64
	// BusyTicks and AllTicks of all processors since boot, 10 ms each on Linux.
	// Time that a hypervisor took for others ("steal") is busy.
	BusyTicks, AllTicks uint64
	// OwnTicks of this process and its descendants, with those that have ended.
	OwnTicks uint64
	// ThrottledNs that the quota of our control group, or of one around it, held
	// processes back; nil = there is no quota, or it is not visible.
	ThrottledNs *int64
	// Err is why the ticks are not known.
	Err error
}

// BusyNow looks at this machine, and at this process and further ones, with all that
// came of them. It reads a small file for each process of the machine, some
// milliseconds in all: call it outside windows.
func BusyNow(further ...int) Busy {
	b := BusyAt("/", os.Getpid(), further...)
	b.MonoNs = sdk.MonoNow()
	return b
}

// BusyAt does the same for the machine whose file system begins at root, with
// pid and further processes as those whose descendants are ours.
func BusyAt(root string, pid int, further ...int) Busy {
	s := &snapshot{root: root}
	var b Busy
	text, err := s.read("proc/stat")
	if err != nil {
		b.Err = errors.New(why("proc/stat", err))
		return b
	}
	if b.BusyTicks, b.AllTicks, b.Err = processorTicks(text); b.Err != nil {
		return b
	}
	processes, err := s.processes()
	if err != nil {
		b.Err = err
		return b
	}
	if _, ok := processes[pid]; !ok {
		b.Err = fmt.Errorf("/proc does not show this process (%d)", pid)
		return b
	}
	b.OwnTicks = ownTicks(processes, append(further, pid))
	b.ThrottledNs = s.throttled()
	return b
}

// processorTicks reads the line of all processors: user nice system idle iowait
// irq softirq steal, of which guests are a part of user and nice.
func processorTicks(text string) (busy, all uint64, err error) {
	line, _, _ := strings.Cut(text, "\n")
	words := strings.Fields(line)
	if len(words) < 5 || words[0] != "cpu" {
		return 0, 0, fmt.Errorf("/proc/stat begins with %.40q", line)
	}
	for i, word := range words[1:min(len(words), 9)] {
		n, err := strconv.ParseUint(word, 10, 62)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat begins with %.40q", line)
		}
		all += n
		if i != 3 && i != 4 {
			busy += n
		}
	}
	return busy, all, nil
}

// process is what /proc/PID/stat says of one.
type process struct {
	parent int
	// ticks of its own and of its children that have ended and were waited for.
	ticks uint64
}

func (s *snapshot) processes() (map[int]process, error) {
	entries, err := os.ReadDir(filepath.Join(s.root, "proc"))
	if err != nil {
		return nil, errors.New(why("proc", err))
	}
	all := map[int]process{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// One that has ended since, or is hidden, is not ours.
		if text, err := s.read(path.Join("proc", e.Name(), "stat")); err == nil {
			if p, ok := parseProcess(text); ok {
				all[pid] = p
			}
		}
	}
	return all, nil
}

// parseProcess takes what stands behind the name, which may hold anything:
// state ppid ... utime stime cutime cstime as the 14th to 17th field.
func parseProcess(text string) (process, bool) {
	words := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(words) < 15 {
		return process{}, false
	}
	parent, err := strconv.Atoi(words[1])
	if err != nil {
		return process{}, false
	}
	p := process{parent: parent}
	for _, word := range words[11:15] {
		n, err := strconv.ParseUint(word, 10, 62)
		if err != nil {
			return process{}, false
		}
		p.ticks += n
	}
	return p, true
}

// ownTicks sums over the pids and their descendants, each once. A child that ends moves
// its ticks to its parent, so that the sum does not fall while that lives.
func ownTicks(all map[int]process, pids []int) uint64 {
	var sum uint64
	for id := range descendants(all, pids...) {
		sum += all[id].ticks
	}
	return sum
}

// descendants of the pids, with themselves.
func descendants(all map[int]process, pids ...int) map[int]bool {
	ours := map[int]bool{}
	for _, pid := range pids {
		ours[pid] = true
	}
	for grown := true; grown; {
		grown = false
		for id, p := range all {
			if ours[p.parent] && !ours[id] {
				ours[id], grown = true, true
			}
		}
	}
	return ours
}

// Descendants are the processes that came of the pids, with themselves, each once, as
// far as one look at /proc shows them.
func Descendants(pids ...int) ([]int, error) {
	all, err := (&snapshot{root: "/"}).processes()
	if err != nil {
		return nil, err
	}
	var list []int
	for id := range descendants(all, pids...) {
		list = append(list, id)
	}
	return list, nil
}

// throttled adds up our control group and those around it, as far as they are
// visible. A group without a quota does not count.
func (s *snapshot) throttled() *int64 {
	groups, err := s.read("proc/self/cgroup")
	if err != nil {
		return nil
	}
	var sum *int64
	for line := range strings.Lines(groups) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		base, key, unit := "sys/fs/cgroup", "throttled_usec", int64(1000)
		if part[1] != "" {
			base, key, unit = "sys/fs/cgroup/cpu", "throttled_time", 1
			if !strings.Contains(","+part[1]+",", ",cpu,") {
				continue
			}
		}
		for at := path.Clean("/" + part[2]); ; at = path.Dir(at) {
			if text, err := s.read(path.Join(base, at, "cpu.stat")); err == nil {
				if n, err := strconv.ParseInt(fields(text, " ")[key], 10, 50); err == nil && n >= 0 {
					total := n * unit
					if sum != nil {
						total += *sum
					}
					sum = &total
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return sum
}

// Shares is who was at work between two moments.
type Shares struct {
	// Others is the share of all processors' time that went to processes that
	// are not ours, and OwnCPUs how many processors ours kept busy on average.
	Others  *float64 `json:"others,omitempty"`
	OwnCPUs *float64 `json:"own_cpus,omitempty"`
	// ThrottledNs that a quota held processes back.
	ThrottledNs *int64 `json:"throttled_ns,omitempty"`
	// Absent is why Others is not known.
	Absent string `json:"absent,omitempty"`
}

// Between compares two moments. It is pure.
func Between(a, b Busy) Shares {
	var s Shares
	if a.ThrottledNs != nil && b.ThrottledNs != nil && *b.ThrottledNs >= *a.ThrottledNs {
		n := *b.ThrottledNs - *a.ThrottledNs
		s.ThrottledNs = &n
	}
	switch {
	case a.Err != nil:
		s.Absent = a.Err.Error()
	case b.Err != nil:
		s.Absent = b.Err.Error()
	case b.AllTicks <= a.AllTicks || b.BusyTicks < a.BusyTicks || b.OwnTicks < a.OwnTicks:
		s.Absent = "the kernel's CPU times stood still or fell"
	default:
		all, busy, own := float64(b.AllTicks-a.AllTicks), float64(b.BusyTicks-a.BusyTicks), float64(b.OwnTicks-a.OwnTicks)
		// Each process is counted in whole ticks, so ours may seem to have more
		// than there was.
		others := max(0, busy-own) / all
		s.Others = &others
		if span := float64(b.MonoNs-a.MonoNs) / 1e9; span > 0 {
			cpus := own / ticksPerS / span
			s.OwnCPUs = &cpus
		}
	}
	return s
}

// ticksPerS is USER_HZ, which Linux promises to all programs.
const ticksPerS = 100
