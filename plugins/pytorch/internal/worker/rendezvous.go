package worker

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// rendezvous is by what ranks find each other and agree: a socket that listens
// on the loopback, which rank 0 inherits, so that no port is named that another
// process could take meanwhile; and a piece of memory that all of them map, with
// a 64-bit word for each rank.
type rendezvous struct {
	size     int
	listener *net.TCPListener
	socket   *os.File
	memory   *os.File
}

// loopback is the interface over which the ranks of one machine meet.
const loopback = "lo"

func newRendezvous(size int) (r *rendezvous, err error) {
	r = &rendezvous{size: size}
	defer func() {
		if err != nil {
			r.close()
			err = fmt.Errorf("prepare the meeting of %d ranks: %w", size, err)
		}
	}()
	if r.listener, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	if r.socket, err = r.listener.File(); err != nil {
		return nil, err
	}
	descriptor, err := unix.MemfdCreate("llem-ranks", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make memory that they share: %w", err)
	}
	r.memory = os.NewFile(uintptr(descriptor), "llem-ranks")
	return r, r.memory.Truncate(int64(8 * size))
}

// command is that of one rank: its environment is what torch's own launcher
// sets, and it inherits the memory and, if it is the first, the socket.
func (r *rendezvous) command(c Command, rank int) Command {
	c.Name = fmt.Sprintf("worker of rank %d", rank)
	c.Files = []*os.File{r.memory}
	if rank == 0 {
		c.Files = append(c.Files, r.socket)
	}
	address := r.listener.Addr().(*net.TCPAddr)
	c.Env = append([]string{
		"RANK=" + strconv.Itoa(rank), "LOCAL_RANK=" + strconv.Itoa(rank),
		"WORLD_SIZE=" + strconv.Itoa(r.size), "LOCAL_WORLD_SIZE=" + strconv.Itoa(r.size),
		"MASTER_ADDR=" + address.IP.String(), "MASTER_PORT=" + strconv.Itoa(address.Port),
		// Gloo takes the address of the host's name otherwise, which need not exist.
		"GLOO_SOCKET_IFNAME=" + loopback,
	}, c.Env...)
	return c
}

// close closes what the ranks have inherited.
func (r *rendezvous) close() {
	if r.socket != nil {
		_ = r.socket.Close() // nothing was written
	}
	if r.memory != nil {
		_ = r.memory.Close()
	}
	if r.listener != nil {
		_ = r.listener.Close()
	}
}
