package loadgen

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// conn is one kept connection. It serves one request at a time.
type conn struct {
	fd      int // -1 = closed
	slot    int32
	up      bool // connected
	served  int  // answers so far
	stream  *stream
	out     []byte // what is left of the request
	size    int    // of the whole request
	body    []byte // the buffer that out is a part of, if it is used again
	sinceNs int64  // of the last byte, of being idle, or of the connect call
}

// receiver is recvmsg(2) with room for one receive stamp. The standard
// library's ways to it allocate at each call.
type receiver struct {
	header  unix.Msghdr
	vector  unix.Iovec
	control [64]byte
}

// receive reads into p. wallNs is the kernel's stamp of the last segment in
// it, CLOCK_REALTIME; 0 = none came.
func (r *receiver) receive(fd int, p []byte) (n int, wallNs int64, err error) {
	r.vector.Base = &p[0]
	r.vector.SetLen(len(p))
	r.header = unix.Msghdr{Iov: &r.vector, Control: &r.control[0]}
	r.header.SetIovlen(1)
	r.header.SetControllen(len(r.control))
	for {
		got, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.header)), unix.MSG_DONTWAIT)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return 0, 0, errno
		}
		n = int(got)
		break
	}
	const stampBytes = unix.SizeofCmsghdr + int(unsafe.Sizeof(unix.Timespec{}))
	if int(r.header.Controllen) >= stampBytes {
		c := (*unix.Cmsghdr)(unsafe.Pointer(&r.control[0]))
		if c.Level == unix.SOL_SOCKET && c.Type == unix.SO_TIMESTAMPNS {
			wallNs = (*unix.Timespec)(unsafe.Pointer(&r.control[unix.SizeofCmsghdr])).Nano()
		}
	}
	return n, wallNs, nil
}

// reuse takes back the buffer of a request that needs it no more.
func (r *reactor) reuse(c *conn) {
	if c.body != nil {
		r.buffers = append(r.buffers, c.body)
	}
	c.out, c.body = nil, nil
}

// send is send(2) without telling the scheduler, as receive is: neither call
// ever waits.
func send(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// connect starts a connection; it is up at once or when the reactor says so.
func (r *reactor) connect() (*conn, error) {
	fd, err := unix.Socket(r.g.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			return nil, fmt.Errorf("socket: %w; raise the limit with ulimit -n", err)
		}
		return nil, fmt.Errorf("socket: %w", err)
	}
	c := &conn{fd: fd, sinceNs: r.clock.now()}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil && !r.g.options.UserStamps {
		// Without it the user's stamps serve, and are counted.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}
	if err == nil {
		if err = unix.Connect(fd, r.g.address); errors.Is(err, unix.EINPROGRESS) {
			err = nil
		}
	}
	if err == nil {
		r.place(c)
		err = r.watch(unix.EPOLL_CTL_ADD, c, unix.EPOLLIN|unix.EPOLLOUT)
	}
	if err != nil {
		r.close(c)
		return nil, err
	}
	r.connecting++
	return c, nil
}

// place gives the connection a slot; events name it by slot and descriptor.
func (r *reactor) place(c *conn) {
	if n := len(r.freeSlots); n > 0 {
		c.slot = r.freeSlots[n-1]
		r.freeSlots = r.freeSlots[:n-1]
		r.conns[c.slot] = c
		return
	}
	c.slot = int32(len(r.conns))
	r.conns = append(r.conns, c)
}

func (r *reactor) watch(op int, c *conn, events uint32) error {
	return unix.EpollCtl(r.epoll, op, c.fd, &unix.EpollEvent{Events: events, Fd: c.slot, Pad: int32(c.fd)})
}

func (r *reactor) close(c *conn) {
	if c.fd < 0 {
		return
	}
	_ = unix.Close(c.fd)
	if int(c.slot) < len(r.conns) && r.conns[c.slot] == c {
		r.conns[c.slot] = nil
		r.closedSlots = append(r.closedSlots, c.slot)
		if !c.up {
			r.connecting--
		}
	}
	c.fd = -1
}

// kept returns an idle connection that is still open, the one used last. The event
// that tells of a server's closing may be due in the same turn: one that has rested is
// asked.
func (r *reactor) kept() *conn {
	for n := len(r.idle); n > 0; n = len(r.idle) {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		switch {
		case c.fd < 0:
		case r.nowNs-c.sinceNs < restedNs || silent(c.fd):
			return c
		default:
			r.close(c)
		}
	}
	return nil
}

// silent tells whether the other end has neither closed nor said anything.
func silent(fd int) bool {
	_, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return errors.Is(err, unix.EAGAIN)
}

// connected is called when a connection attempt has an outcome.
func (r *reactor) connected(c *conn) {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err == nil {
		err = r.watch(unix.EPOLL_CTL_MOD, c, unix.EPOLLIN)
	}
	if err != nil {
		r.refuse(c, err)
		return
	}
	c.up = true
	r.connecting--
	r.refused, r.refusedWhy = 0, nil
	c.sinceNs = r.nowNs
	if c.stream == nil {
		r.idle = append(r.idle, c)
		return
	}
	r.write(c)
}

// failed counts attempts in a row that speak against the server. Being out of
// descriptors or ports does not.
func (r *reactor) failed(err error) {
	switch {
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.ETIMEDOUT),
		errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		r.refused++
	}
	r.refusedWhy = err
}

// refuse ends a connection that never came up.
func (r *reactor) refuse(c *conn, err error) {
	r.failed(err)
	if c.stream != nil {
		c.stream.fail("connect: " + err.Error())
		r.finish(c, false)
		return
	}
	r.close(c)
}

// write sends what it can of the request and leaves the rest to the reactor.
func (r *reactor) write(c *conn) {
	s := c.stream
	if s.sent == 0 {
		s.sent = r.clock.now()
		if s.intended != 0 {
			r.lateness.add(s.sent - s.intended)
		}
	}
	partly := len(c.out) < c.size
	for len(c.out) > 0 {
		n, err := send(c.fd, c.out)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if !partly {
				r.partWrites++
				err = r.watch(unix.EPOLL_CTL_MOD, c, unix.EPOLLIN|unix.EPOLLOUT)
			} else {
				err = nil
			}
			if err == nil {
				return
			}
			fallthrough
		case err != nil:
			s.cut = "connection_lost: " + err.Error() + " while the request was sent"
			r.finish(c, false)
			return
		default:
			c.out = c.out[n:]
		}
	}
	if partly {
		if err := r.watch(unix.EPOLL_CTL_MOD, c, unix.EPOLLIN); err != nil {
			s.cut = "connection_lost: " + err.Error()
			r.finish(c, false)
		}
	}
	r.reuse(c)
}
