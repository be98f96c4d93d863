package openaiserver

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/sdk/internal/proc"
)

const (
	stateListening = "0A" // in /proc/net/tcp
	// noMark is in no environment: variables end at a zero byte.
	noMark = "\x00"
)

// thisHost returns the addresses that a URL's host has, and whether one of them is
// an address of this host.
func thisHost(ctx context.Context, address string) (ips []net.IP, port int, own bool) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, 0, false
	}
	if port, err = strconv.Atoi(u.Port()); err != nil {
		port = 80
	}
	found, err := net.DefaultResolver.LookupIPAddr(ctx, u.Hostname())
	if err != nil {
		return nil, port, false
	}
	interfaces, _ := net.InterfaceAddrs() // without them only loopback is known
	for _, f := range found {
		ips = append(ips, f.IP)
		own = own || f.IP.IsLoopback() || slices.ContainsFunc(interfaces, func(a net.Addr) bool {
			network, ok := a.(*net.IPNet)
			return ok && network.IP.Equal(f.IP)
		})
	}
	return ips, port, own
}

// listeners are the processes, with their descendants, that listen at an address of
// this host, and the one that most of them came of: none if the kernel hides who they
// are, as those of other users.
func listeners(ips []net.IP, port int) (pids []int, front int) {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // of a kernel without IPv6, say
		}
		for _, inode := range listening(string(text), ips, port) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	if len(sockets) == 0 {
		return nil, 0
	}
	most := 0
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // its only error is a bad pattern
	for _, file := range files {
		if target, err := os.Readlink(file); err != nil || !sockets[target] {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(file, "/")[2])
		if err != nil {
			continue
		}
		family := proc.NewFamily(pid, noMark).Look()
		if len(family) > most {
			most, front = len(family), pid
		}
		pids = append(pids, family...)
	}
	slices.Sort(pids)
	return slices.Compact(pids), front
}

// listening are the inodes of a kernel table's sockets that listen at one of the
// addresses, or at all.
func listening(table string, ips []net.IP, port int) (inodes []string) {
	lines := bufio.NewScanner(strings.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != stateListening {
			continue
		}
		local, number, _ := strings.Cut(fields[1], ":")
		if number != fmt.Sprintf("%04X", port) {
			continue
		}
		ip := kernelIP(local)
		if ip != nil && (ip.IsUnspecified() || slices.ContainsFunc(ips, ip.Equal)) {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}

// kernelIP reads an address of the kernel's tables: words of 32 bits as this
// machine's memory has them, little end first on all that Go's Linux ports with GPUs
// run on.
func kernelIP(text string) net.IP {
	ip, err := hex.DecodeString(text)
	if err != nil || len(ip) != net.IPv4len && len(ip) != net.IPv6len {
		return nil
	}
	for word := range slices.Chunk(ip, 4) {
		slices.Reverse(word)
	}
	return ip
}
