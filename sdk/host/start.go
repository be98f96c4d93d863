package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// Command is the program to start.
type Command struct {
	Path string
	Args []string // without the program's name
	Dir  string   // "" = the host's
	Env  []string // besides the host's environment
}

// Options of Start.
type Options struct {
	// Logger takes the plugin's structured log records; nil discards them.
	Logger hclog.Logger
	// LogWriter takes every raw line of its stderr; may be nil.
	LogWriter io.Writer
	// StartTimeout bounds the time to the first answer; 0 means 10 s.
	StartTimeout time.Duration
	// CoreVersion is told to the plugin.
	CoreVersion string
}

const defaultStartTimeout = 10 * time.Second

// clockTolerance is how far the plugin's clock reading may lie outside the
// host's around the call. A wrong clock is off by hours.
const clockTolerance = time.Second

// Plugin is a running plugin process. Its methods may be called from several
// goroutines; the plugin itself allows one Load, and one Run at a time.
type Plugin struct {
	path        string
	client      *plugin.Client
	child       child
	connection  *grpc.ClientConn
	identity    pb.PluginServiceClient
	backend     pb.BackendServiceClient
	source      pb.EnergySourceServiceClient
	description sdk.DescribeReport
	killing     sync.Once
	lost        atomic.Bool // a heartbeat was lost
	// socketDir is this plugin's own directory; the transport forgets it when
	// it cannot end the process in order.
	socketDir string
	// openWarnings came with the last Open.
	openWarnings atomic.Pointer[[]sdk.Warning]

	mu       sync.Mutex
	prepared map[string]preparedWork // by work id
}

// name is what errors call the plugin.
func (p *Plugin) name() string {
	if p.description.Name != "" {
		return p.description.Name
	}
	return filepath.Base(p.path)
}

// becomeSubreaper runs once in a host's life: descendants of dead plugins come
// to it, where a sweep finds them.
var becomeSubreaper = sync.OnceValue(proc.BecomeSubreaper)

// Start starts a plugin and asks who it is. A plugin that cannot be used is
// ended and reported as a *StartError.
func Start(ctx context.Context, command Command, o Options) (*Plugin, error) {
	if err := becomeSubreaper(); err != nil {
		return nil, fmt.Errorf("start plugin %s: become a subreaper: %w", command.Path, err)
	}
	socketDir, err := proc.SocketDir()
	if err != nil {
		return nil, fmt.Errorf("start plugin %s: %w", command.Path, err)
	}
	timeout := o.StartTimeout
	if timeout == 0 {
		timeout = defaultStartTimeout
	}
	logger := o.Logger
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	p := &Plugin{path: command.Path, prepared: map[string]preparedWork{}}
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: transport.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{
			transport.Major: {transport.Name: &transport.Services{}},
		},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		// The socket's directory can be entered by its owner only, so there
		// is nobody to hide from; encryption costs 30 ms a start.
		AutoMTLS: false,
		// The own deadline comes first and knows more to say.
		StartTimeout:     timeout + killLimit,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: socketDir},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(transport.RefusedMessageBytes)),
		},
		Logger: logger,
		// The runner adds the host's environment itself.
		SkipHostEnv: true,
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, dir string) (runner.Runner, error) {
			p.socketDir = dir
			r, err := proc.NewRunner(proc.Command(command), spec.Env, o.LogWriter)
			if err != nil {
				return nil, err
			}
			p.child.adopt(r)
			return &p.child, nil
		},
	})
	startCtx, cancel := context.WithTimeoutCause(ctx, timeout, errTooSlow)
	defer cancel()
	connected := make(chan error, 1)
	go func() { connected <- p.connect() }()
	select {
	case err = <-connected:
	case <-startCtx.Done():
		// With the process gone the handshake ends, one way or the other.
		_ = p.child.giveUp()
		<-connected //nolint:errcheck // why it ended is known: see below
		err = context.Cause(startCtx)
	}
	if err == nil {
		err = p.describe(startCtx, o.CoreVersion)
	}
	if err != nil {
		explained := p.explain(ctx, err, timeout)
		p.Kill()
		return nil, explained
	}
	return p, nil
}

// errTooSlow: the start took longer than it may.
var errTooSlow = errors.New("no handshake in time")

// connect performs the handshake.
func (p *Plugin) connect() error {
	protocol, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(transport.Name)
	if err != nil {
		return err
	}
	p.connection = raw.(*grpc.ClientConn)
	p.identity = pb.NewPluginServiceClient(p.connection)
	p.backend = pb.NewBackendServiceClient(p.connection)
	p.source = pb.NewEnergySourceServiceClient(p.connection)
	return nil
}

// describe asks who the plugin is and checks that its clock is the host's.
func (p *Plugin) describe(ctx context.Context, coreVersion string) error {
	before := sdk.MonoNow()
	response, err := p.identity.Describe(ctx, &pb.DescribeRequest{
		CoreVersion: coreVersion, ProtocolMinor: sdk.ProtocolMinor, Features: hostFeatures,
	})
	after := sdk.MonoNow()
	if err != nil {
		return p.failed("describe", err)
	}
	d, err := wire.FromDescribe(response)
	if err != nil {
		return err
	}
	if d.Name == "" || len(d.Kinds) == 0 {
		return errors.New("it does not tell its name and kind")
	}
	if boot := sdk.BootID(); d.BootID != "" && boot != "" && d.BootID != boot {
		return fmt.Errorf("its boot id is %s and the host's is %s: it runs on another machine, and its stamps mean nothing here", d.BootID, boot)
	}
	if d.MonoNowNs < before-int64(clockTolerance) || d.MonoNowNs > after+int64(clockTolerance) {
		return fmt.Errorf("its clock reads %d and CLOCK_MONOTONIC reads %d: stamps must be CLOCK_MONOTONIC nanoseconds", d.MonoNowNs, after)
	}
	p.description = d
	return nil
}

// hostFeatures are what this host understands beyond the contract's first
// minor.
var hostFeatures = []string{}

// Description returns what the plugin said of itself.
func (p *Plugin) Description() sdk.DescribeReport { return p.description }

// explain finds the words for a failed start.
func (p *Plugin) explain(ctx context.Context, err error, timeout time.Duration) error {
	if ctx.Err() != nil {
		return fmt.Errorf("start plugin %s: %w", p.path, context.Cause(ctx))
	}
	out := &StartError{Path: p.path, Err: err, Reason: err.Error()}
	if !p.child.exists() {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			out.Reason, out.Advice = "the file does not exist", "install the plugin again with `llem plugins install PATH`"
			if _, statErr := os.Stat(p.path); statErr == nil {
				out.Reason, out.Advice = "the interpreter that its first line names does not exist", "install it or correct the line"
			}
		case errors.Is(err, fs.ErrPermission):
			out.Reason, out.Advice = "the file is not executable", fmt.Sprintf("chmod +x %s", p.path)
		case errors.Is(err, syscall.ENOEXEC):
			out.Reason, out.Advice = "the file is no program for this machine", "build the plugin for this machine"
		}
		return out
	}
	// The process is gone in a moment or it hangs: wait that moment, so that
	// its last words are complete.
	select {
	case <-p.child.Exited():
	case <-time.After(lastWords):
	}
	out.StderrTail = p.child.lastLines()
	head := strings.TrimSpace(p.child.StdoutHead())
	code, signal, exited := p.child.ExitState()
	var died *DiedError
	switch {
	case errors.As(err, &died):
		out.Reason = "it died in its first answer (" + died.how() + ")"
	case errors.Is(err, context.DeadlineExceeded):
		out.Reason = fmt.Sprintf("it shook hands and did not answer Describe within %v", timeout)
		out.Advice = "Describe must not touch a device or import an engine"
	case strings.Contains(err.Error(), "ncompatible API version"), strings.Contains(err.Error(), "ncompatible core API"):
		// The transport has no types for these.
		out.Reason = fmt.Sprintf("it speaks another version of the plugin contract (handshake %q) than this llem (%d)", firstLine(head), transport.Major)
		out.Advice = "install a version of the plugin that fits, or update llem"
	case errors.Is(err, errTooSlow) && head == "":
		out.Reason = fmt.Sprintf("no handshake within %v", timeout)
		out.Advice = "a plugin must do slow things in Load, not before serve.Backend"
	case head != "" && !isHandshake(head):
		out.Reason = fmt.Sprintf("it printed %q where the handshake was expected", firstLine(head))
		out.Advice = "a plugin must print nothing on standard output before serve.Backend or serve.EnergySource"
	case exited && signal != "":
		out.Reason = "it was ended by signal " + signal + " before the handshake"
		out.Advice = "run it in a shell to see why: " + p.path
	case exited:
		out.Reason = fmt.Sprintf("it exited with code %d before the handshake", code)
		out.Advice = "run it in a shell to see why: " + p.path
	}
	return out
}

const lastWords = 100 * time.Millisecond

// isHandshake tells whether text begins like the handshake line.
func isHandshake(text string) bool {
	return strings.HasPrefix(text, "1|") && strings.Count(firstLine(text), "|") >= 4
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if len(line) > 120 {
		line = line[:120]
	}
	return line
}

// killLimit bounds the polite part of a Kill; the transport waits for as long
// as a stopped process is stopped.
const killLimit = 2500 * time.Millisecond

// Kill ends the process and everything that descends from it, within four
// seconds. Further calls do nothing.
func (p *Plugin) Kill() {
	p.killing.Do(func() {
		if p.lost.Load() {
			// It hangs: asking it to leave would only take time.
			_ = p.child.giveUp()
		}
		polite := make(chan struct{})
		go func() {
			defer close(polite)
			p.client.Kill()
		}()
		select {
		case <-polite:
		case <-time.After(killLimit):
		}
		// An error means that the kernel cannot end it; the next gate finds
		// what it still holds.
		_ = p.child.giveUp()
		if p.socketDir != "" {
			// What cannot be removed is an empty directory of this user.
			_ = os.RemoveAll(p.socketDir)
		}
	})
}

// Exited is closed when the process is gone.
func (p *Plugin) Exited() <-chan struct{} { return p.child.Exited() }

// StderrTail returns the last lines of the plugin's standard error.
func (p *Plugin) StderrTail() []string { return p.child.StderrTail() }

// PID is the plugin's process id.
func (p *Plugin) PID() int { return p.child.PID() }
