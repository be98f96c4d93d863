//go:build linux

package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
)

// The test binary is also every process that the tests need: roleEnv says
// which. familyEnv names a directory that is unique to a test and stays in the
// environment of all that the test starts, without the cookie, too.
const (
	roleEnv   = "PROC_TEST_ROLE"
	familyEnv = "PROC_TEST_FAMILY"
)

func TestMain(m *testing.M) {
	role, argument, _ := strings.Cut(os.Getenv(roleEnv), ":")
	if role == "" {
		if err := BecomeSubreaper(); err != nil {
			panic(err)
		}
		// Under nohup the hangup is ignored, by all children too; what is caught here
		// is theirs again.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
		os.Exit(m.Run())
	}
	must(os.Unsetenv(roleEnv))
	switch role {
	case "host":
		playHost(argument)
	case "plugin":
		playPlugin(argument)
	case "relative":
		playRelative(argument)
	case "garbage":
		fmt.Println("NCCL version 2.27")
		fmt.Println("more")
		fmt.Fprintln(os.Stderr, "last words")
		os.Exit(3)
	case "parent":
		playParent()
	case "sweeper":
		playSweeper()
	default:
		panic("role " + role)
	}
	os.Exit(0)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// self is this binary in another role.
func self(role string) Command {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Command{Path: path, Args: []string{"-test.run=NONE"}, Env: []string{roleEnv + "=" + role}}
}

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "PROC_TEST", MagicCookieValue: "1"}

// nothing is a plugin that serves the transport's own services only.
type nothing struct{ plugin.NetRPCUnsupportedPlugin }

func (nothing) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (nothing) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// connect starts a plugin through the transport.
func connect(c Command) (*plugin.Client, *Runner, error) {
	dir, err := SocketDir()
	if err != nil {
		return nil, nil, err
	}
	var r *Runner
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          plugin.PluginSet{"nothing": nothing{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		Logger:           hclog.NewNullLogger(),
		SkipHostEnv:      true,
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (_ runner.Runner, err error) {
			r, err = NewRunner(c, spec.Env, nil)
			return r, err
		},
	})
	protocol, err := client.Client()
	if err == nil {
		err = protocol.Ping()
	}
	return client, r, err
}

// playHost starts a plugin. With "trap" it ends it in order when a signal
// comes; otherwise it dies of the signal.
func playHost(how string) {
	must(BecomeSubreaper())
	_, r, err := func() (*plugin.Client, *Runner, error) {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		if how != "trap" {
			stop()
		}
		client, r, err := connect(self("plugin:" + strings.Join(relatives, ",")))
		if err == nil && how == "trap" {
			<-ctx.Done()
			err = EndClient(context.Background(), client, r)
		}
		return client, r, err
	}()
	must(err)
	if how == "trap" {
		return
	}
	<-r.Exited()
	must(errors.New("the plugin died before its host"))
}

// relatives are all ways of having one: an orphan, a child in the group with a
// child, the same in a session of its own, and one that hides its cookie.
var relatives = []string{"orphan", "group", "session", "hidden"}

// family is how many processes a plugin with all relatives is.
const family = 1 + 2 + 2 + 1 + 1

// playPlugin has relatives, and the quirks among them.
func playPlugin(have string) {
	must(BecomeSubreaper())
	dir := os.Getenv(familyEnv)
	WatchLifeline(func() {
		// Longer than it takes the next log line to come.
		time.Sleep(50 * time.Millisecond)
		must(os.WriteFile(filepath.Join(dir, "onDeath"), nil, 0o600))
	})
	fd1, fd2 := os.Stdout, os.Stderr
	afterHandshake := func() {}
	for _, who := range strings.Split(have, ",") {
		switch who {
		case "chatty":
			go func() {
				for range time.Tick(time.Millisecond) {
					fmt.Fprintln(fd2, "a log line")
				}
			}()
		case "holder":
			// It holds this process's outputs, out of everybody's sight.
			relative("holder", nil, fd1, fd2)
		case "printer":
			afterHandshake = func() {
				fmt.Fprint(fd1, strings.Repeat("x", 200<<10), "\n", strings.Repeat("many\n", 100<<10))
				must(os.WriteFile(filepath.Join(dir, "printed"), nil, 0o600))
			}
		case "guarded":
			afterHandshake = func() {
				must(GuardStdout(fd2))
				_, err := syscall.Write(1, []byte("by descriptor\n"))
				must(err)
				fmt.Println("by name")
			}
		case "":
		default:
			relative(who, nil, nil, nil)
		}
	}
	var once sync.Once
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"nothing": nothing{}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.UnaryInterceptor(
				func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
					once.Do(afterHandshake)
					return handler(ctx, request)
				}))...)
		},
		Logger: hclog.NewNullLogger(),
	})
}

// relative starts one and does not wait for it.
func relative(who string, attributes *syscall.SysProcAttr, stdout, stderr *os.File) {
	cmd := exec.Command(self("").Path)
	cmd.Env = append(os.Environ(), roleEnv+"=relative:"+who)
	cmd.SysProcAttr = attributes
	if stdout != nil {
		cmd.Stdout, cmd.Stderr = stdout, stderr
	}
	if who == "session" || who == "hidden" || who == "holder" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if who == "hidden" || who == "holder" {
		cmd.Env = []string{roleEnv + "=relative:" + who, familyEnv + "=" + os.Getenv(familyEnv)}
	}
	must(cmd.Start())
	if who == "orphan" {
		must(cmd.Wait()) // it leaves an orphan
	}
}

// playRelative is deaf to all but SIGKILL.
func playRelative(who string) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	switch who {
	case "group", "session":
		relative("leaf", nil, nil, nil)
	case "orphan":
		relative("leaf", &syscall.SysProcAttr{Setsid: true}, nil, nil)
		return
	}
	for {
		time.Sleep(time.Hour)
	}
}

// playParent has a child by StartChild, says its pid, and waits to be killed.
func playParent() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	must(err)
	cmd := exec.Command(self("").Path)
	cmd.Env = append(os.Environ(), roleEnv+"=relative:leaf")
	started := make(chan error)
	var thread int
	start := func() {
		// A thread that ends with its goroutine must not matter.
		runtime.LockOSThread()
		thread = syscall.Gettid()
		started <- StartChild(cmd, null, null)
	}
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			// The main thread never ends. This goroutine holds it, so that
			// another gets one that does.
			go start()
			select {}
		}
		start()
	}()
	must(<-started)
	for {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread)); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Println(cmd.Process.Pid)
	for {
		time.Sleep(time.Hour)
	}
}

// playSweeper has a child that somebody waits for and sweeps it away.
func playSweeper() {
	must(BecomeSubreaper())
	cmd := exec.Command(self("").Path)
	cmd.Env = append(os.Environ(), roleEnv+"=relative:group")
	must(cmd.Start())
	waited := make(chan error)
	go func() { waited <- cmd.Wait() }()
	for len(members(os.Getenv(familyEnv))) < 3 {
		time.Sleep(time.Millisecond)
	}
	found, left := Sweep(os.Getpid(), "")
	fmt.Printf("found %d left %v wait: %v", found, left, <-waited)
	// A grandchild adopted in between must not stay as a zombie.
	if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		fmt.Printf(" and children remain: %v", err)
	}
}

// members counts a test's processes by another mark than the package uses.
func members(dir string) []int {
	var alive []int
	for _, p := range processes() {
		environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "environ"))
		if err == nil && p.alive() && bytes.Contains(environ, []byte(familyEnv+"="+dir+"\x00")) {
			alive = append(alive, p.pid)
		}
	}
	return alive
}

// newFamily gives the test a mark for all that it starts, and a last resort.
func newFamily(t *testing.T) (dir, entry string) {
	t.Helper()
	dir = t.TempDir()
	t.Cleanup(func() {
		for _, pid := range members(dir) {
			t.Errorf("process %d is left over", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return dir, familyEnv + "=" + dir
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// startPlugin starts a plugin that has the named relatives and quirks.
func startPlugin(t *testing.T, dir, have string) (*plugin.Client, *Runner) {
	t.Helper()
	command := self("plugin:" + have)
	command.Env = append(command.Env, familyEnv+"="+dir)
	client, r, err := connect(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := EndClient(context.Background(), client, r); err != nil {
			t.Error(err)
		}
	})
	return client, r
}
