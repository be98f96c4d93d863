package plugintest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// member is a process of a plugin's family. The start time tells it from
// another that gets its pid later.
type member struct {
	pid, parent int
	name        string
	state       string
	start       string // clock ticks since boot
}

// readMember reads /proc/PID/stat: the pid, the name in parentheses, the
// state, the parent, and the start time as field 22.
func readMember(pid int) (member, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return member{}, err
	}
	// The name may hold anything, parentheses too.
	open, last := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
	if open < 0 || last < open {
		return member{}, fmt.Errorf("read %s: no name in %q", path, text)
	}
	fields := strings.Fields(string(text[last+1:]))
	if len(fields) < 20 {
		return member{}, fmt.Errorf("read %s: %d fields after the name, want 20 at least", path, len(fields))
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return member{}, fmt.Errorf("read %s: %w", path, err)
	}
	return member{pid: pid, parent: parent, name: string(text[open+1 : last]), state: fields[0], start: fields[19]}, nil
}

// alive tells whether this very process still runs; a zombie does not.
func (m member) alive() bool {
	now, err := readMember(m.pid)
	return err == nil && now.start == m.start && now.state != "Z" && now.state != "X"
}

// descendants lists the process and all that descend from it. Where there is
// no /proc there are none to be seen.
func descendants(root int) ([]member, error) {
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int][]member{}
	var family []member
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		m, err := readMember(pid)
		if err != nil {
			continue // it ended meanwhile
		}
		children[m.parent] = append(children[m.parent], m)
		if pid == root {
			family = append(family, m)
		}
	}
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i].pid]...)
	}
	return family, nil
}

// environmentOf returns what the host gave a plugin process: the cookie of its
// instance and the directory of its socket; "" where they cannot be read.
func environmentOf(pid int) (cookie, socketDir string) {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", ""
	}
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		if value, ok := strings.CutPrefix(entry, "LLEM_PLUGIN_INSTANCE="); ok {
			cookie = value
		}
		if value, ok := strings.CutPrefix(entry, "PLUGIN_UNIX_SOCKET_DIR="); ok {
			socketDir = value
		}
	}
	return cookie, socketDir
}
