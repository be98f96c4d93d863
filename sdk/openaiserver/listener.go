package openaiserver

import (
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

const stateListening = "0A" // in /proc/net/tcp

// reached connects to a URL's host as requests do, and returns the address that
// answered, and whether it is one of this host.
func reached(ctx context.Context, address string) (at *net.TCPAddr, own bool, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, false, err
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	c, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, false, fmt.Errorf("it does not answer any more: %w", err)
	}
	at = c.RemoteAddr().(*net.TCPAddr) // dial knows nothing else
	_ = c.Close()                      // nothing was said
	if at.IP.IsLoopback() {
		return at, true, nil
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, false, fmt.Errorf("list this host's addresses: %w", err)
	}
	own = slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		network, ok := a.(*net.IPNet)
		return ok && network.IP.Equal(at.IP)
	})
	return at, own, nil
}

// listeners are the processes that accept connections at an address of this host, those
// of them that came of no other one, and their descendants. sockets is how many sockets
// the kernel names there: with some and no process, it hides whose they are.
func listeners(at *net.TCPAddr) (fronts, family []int, sockets int) {
	names := map[string]bool{}
	for _, inode := range listening(at) {
		names["socket:["+inode+"]"] = true
	}
	if len(names) == 0 {
		return nil, nil, 0
	}
	var holders []int
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // its only error is a bad pattern
	for _, file := range files {
		target, err := os.Readlink(file)
		if err != nil || !names[target] {
			continue // closed meanwhile, or another user's
		}
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil && !slices.Contains(holders, pid) {
			holders = append(holders, pid)
		}
	}
	families := proc.Descendants(holders)
	for _, pid := range holders {
		family = append(family, families[pid]...)
		if !slices.ContainsFunc(holders, func(other int) bool { return other != pid && slices.Contains(families[other], pid) }) {
			fronts = append(fronts, pid)
		}
	}
	slices.Sort(family)
	return fronts, slices.Compact(family), len(names)
}

// listening are the inodes of the sockets that are there for an address: those bound to
// it, or else to all of its kind, or else to all addresses of IPv6, which may have
// IPv4's, too.
func listening(at *net.TCPAddr) []string {
	bound := map[string][]string{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // of a kernel without IPv6, say
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != stateListening {
				continue
			}
			local, port, _ := strings.Cut(fields[1], ":")
			if ip := kernelIP(local); ip != nil && port == fmt.Sprintf("%04X", at.Port) {
				bound[ip.String()] = append(bound[ip.String()], fields[9])
			}
		}
	}
	all := net.IPv6zero
	if at.IP.To4() != nil {
		all = net.IPv4zero
	}
	for _, ip := range []net.IP{at.IP, all, net.IPv6zero} {
		if inodes := bound[ip.String()]; len(inodes) > 0 {
			return inodes
		}
	}
	return nil
}

// kernelIP reads an address of the kernel's tables: words of 32 bits as this
// machine's memory has them, the little end first wherever GPUs are.
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
