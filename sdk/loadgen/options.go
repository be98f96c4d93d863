package loadgen

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/llenergymeasure/llem/sdk"
)

// Options of a Generator.
type Options struct {
	// URL of the server, such as http://127.0.0.1:8000. Its path, if any, comes
	// before the dialect's. https is refused: a stamp behind a decryption would
	// be no receive stamp.
	URL string
	// Model as the server calls it.
	Model string
	// APIKey is sent as a bearer token; "" = none.
	APIKey  string
	Dialect Dialect

	// Stall is how long a request may go without a byte before it fails; 0 =
	// ten minutes. When no request has had a byte for a 120th of it, and nobody
	// listens on the server's port any more, all fail.
	Stall time.Duration
	// MemoryBytes is the most that answers may hold before they are decoded; 0 =
	// 512 MiB. Beyond half of it decoding does not wait for idle moments any
	// more; beyond all of it the largest answers fail as memory_limit. Both are
	// in the report.
	MemoryBytes int64
	// MaxEventBytes is the most of one event; 0 = 16 MiB.
	MaxEventBytes int
	// Observe is told each event with its stamp, in order for each request,
	// when it is decoded. It must not keep event.
	Observe func(request uint32, monoNs int64, event []byte)
	// UserStamps does without the kernel's stamps, to compare the two.
	UserStamps bool
}

// Generator drives one server. It is made once and serves any number of Runs,
// one at a time; its connections live as long as a Run.
type Generator struct {
	options Options
	url     *url.URL
	host    string
	address unix.Sockaddr
	family  int

	prepared *sdk.Work // whose first requests are rendered
	rendered [][]byte
}

// New checks the options and looks up the server's address.
func New(ctx context.Context, o Options) (*Generator, error) {
	invalid := func(format string, args ...any) error {
		return &sdk.Error{Code: sdk.InvalidRequest, Phase: "load generator", Message: fmt.Sprintf(format, args...)}
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, invalid("%v", err)
	case u.Scheme != "http":
		return nil, invalid("%s: only http:// can be stamped by the kernel; put the generator beside the server, or a tunnel between", o.URL)
	case u.Hostname() == "":
		return nil, invalid("%s names no host", o.URL)
	}
	if err := o.Dialect.check(); err != nil {
		return nil, invalid("%v", err)
	}
	if strings.ContainsAny(o.APIKey, "\r\n") {
		return nil, invalid("the API key holds a line break")
	}
	if o.Stall == 0 {
		o.Stall = 10 * time.Minute
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 512 << 20
	}
	if o.MaxEventBytes == 0 {
		o.MaxEventBytes = 16 << 20
	}
	g := &Generator{options: o, url: u, host: u.Host}
	if err := g.resolve(ctx); err != nil {
		return nil, &sdk.Error{Code: sdk.InvalidRequest, Phase: "load generator", Message: fmt.Sprintf("look up %s: %v", u.Hostname(), err)}
	}
	return g, nil
}

// path is where requests go.
func (o Options) path() string {
	u, _ := url.Parse(o.URL) // New has parsed it
	return strings.TrimSuffix(u.EscapedPath(), "/") + o.Dialect.Path
}

func (g *Generator) resolve(ctx context.Context) error {
	port := 80
	if text := g.url.Port(); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return err
		}
		port = int(n)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", g.url.Hostname())
	if err != nil {
		return err
	}
	g.family, g.address = socketAddress(listening(ctx, addresses, port), port)
	return nil
}

// listening returns the address that the server listens on. A name such as localhost
// has two, of which it may have one; they are asked in the order that most servers have,
// and where none answers, the first will say why.
func listening(ctx context.Context, addresses []netip.Addr, port int) netip.Addr {
	list := make([]netip.Addr, len(addresses))
	for i, a := range addresses {
		list[i] = a.Unmap()
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	if len(list) == 1 {
		return list[0]
	}
	dialer := net.Dialer{Timeout: time.Second}
	for _, a := range list {
		if c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), strconv.Itoa(port))); err == nil {
			_ = c.Close() // it was only to be asked
			return a
		}
	}
	return list[0]
}

func socketAddress(a netip.Addr, port int) (family int, address unix.Sockaddr) {
	if a.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: a.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: a.As16()}
}
