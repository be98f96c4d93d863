package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// process is one line of the kernel's table. pid and start together name a
// process for ever; the pid alone is used again.
type process struct {
	pid, parent, group int
	state              byte
	start              uint64 // clock ticks since boot
}

func (p process) alive() bool { return p.state != 'Z' && p.state != 'X' }

// processes reads /proc. Processes that end meanwhile are left out.
func processes() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if p, err := readProcess(pid); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// readProcess reads /proc/PID/stat: pid, name, state, parent, group, and the
// start time as field 22.
func readProcess(pid int) (process, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	stat, err := os.ReadFile(path)
	if err != nil {
		return process{}, err
	}
	// The name, in parentheses, may hold anything; fields follow the last.
	_, after, _ := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(")"))
	fields := strings.Fields(string(after))
	if len(fields) < 20 {
		return process{}, fmt.Errorf("read %s: %d fields after the name, want 20 at least", path, len(fields))
	}
	p := process{pid: pid, state: fields[0][0]}
	var errs [3]error
	p.parent, errs[0] = strconv.Atoi(fields[1])
	p.group, errs[1] = strconv.Atoi(fields[2])
	p.start, errs[2] = strconv.ParseUint(fields[19], 10, 64)
	for _, err := range errs {
		if err != nil {
			return process{}, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return p, nil
}

// startTime identifies the process that has the pid now.
func startTime(pid int) (uint64, error) {
	p, err := readProcess(pid)
	return p.start, err
}

// hasCookie tells whether the process was started with the cookie in its
// environment, or is a fork of one that was.
func hasCookie(pid int, cookie string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	entry := []byte(cookieEnv + "=" + cookie)
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(variable, entry) {
			return true
		}
	}
	return false
}
