// Package serve turns a backend or an energy source into a plugin binary:
//
//	func main() { serve.Backend(&engine{}) }
//
// It does everything that a plugin owes its host besides measuring: the
// handshake, heartbeats, orderly and abrupt ends, packing of records, refusal
// of what it does not understand, and the end of all child processes when the
// host dies. Standard output belongs to the handshake; what a plugin prints
// there afterwards goes to standard error.
package serve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
)

// Backend serves b until the host is done with it.
func Backend(b sdk.Backend) { serve(b, nil) }

// EnergySource serves s until the host is done with it.
func EnergySource(s sdk.EnergySource) { serve(nil, s) }

// Both serves a backend and an energy source of one name from one binary. A
// process is used as one of the two.
func Both(b sdk.Backend, s sdk.EnergySource) { serve(b, s) }

func serve(b sdk.Backend, s sdk.EnergySource) {
	if !transport.Started() {
		fmt.Fprintf(os.Stderr, "%s is an llem plugin and is started by llem; install it with `llem plugins install %s`\n", os.Args[0], os.Args[0])
		os.Exit(1)
	}
	// Orphans of the engine come to this process, where they can be found.
	// Without it only those in the process group are.
	if err := proc.BecomeSubreaper(); err != nil {
		Logger().Warn("cannot become a subreaper", "error", err)
	}
	services := newServices(b, s)
	proc.WatchLifeline(func() {
		removeSocketDir()
		services.free()
	})
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: transport.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{
			transport.Major: {transport.Name: &transport.Services{Register: services.register}},
		},
		GRPCServer: services.server,
		Logger: hclog.New(&hclog.LoggerOptions{
			Name: "transport", Level: hclog.Warn, Output: stderr, JSONFormat: true,
		}),
	})
	// The host said goodbye, or is gone; nothing of the engine may stay.
	services.free()
	proc.Sweep(os.Getpid(), "")
}

// services is everything that one process serves.
type services struct {
	identity *pluginServer
	backend  *backendServer // nil: none
	source   *sourceServer  // nil: none
	stdout   sync.Once
}

func newServices(b sdk.Backend, s sdk.EnergySource) *services {
	all := &services{identity: newPluginServer(b, s)}
	if b != nil {
		all.backend = &backendServer{backend: b, description: all.identity.ofBackend}
	}
	if s != nil {
		all.source = &sourceServer{source: s, description: all.identity.ofSource}
	}
	return all
}

func (s *services) register(server *grpc.Server) {
	pb.RegisterPluginServiceServer(server, s.identity)
	if s.backend != nil {
		pb.RegisterBackendServiceServer(server, s.backend)
	}
	if s.source != nil {
		pb.RegisterEnergySourceServiceServer(server, s.source)
	}
}

func (s *services) server(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options,
		grpc.ChainUnaryInterceptor(s.guardUnary),
		grpc.ChainStreamInterceptor(s.guardStream),
	)...)
}

// guardStdout points file descriptor 1, and Go's two standard streams, at the
// real standard error. It happens at the first call, when the host has read
// the handshake: from then on nobody reads long lines on descriptor 1, and a
// library that prints one would block. The transport's own replacements of
// os.Stdout and os.Stderr go through a connection and lose the last words of a
// process that dies.
func (s *services) guardStdout() {
	s.stdout.Do(func() {
		if err := syscall.Dup3(2, 1, 0); err != nil {
			Logger().Warn("cannot redirect standard output", "error", err)
		}
		os.Stdout, os.Stderr = stderr, stderr
	})
}

// removeSocketDir does what a living host does after its plugin's end.
func removeSocketDir() {
	if dir := os.Getenv(plugin.EnvUnixSocketDir); strings.HasPrefix(filepath.Base(dir), "plugin-dir") {
		_ = os.RemoveAll(dir)
	}
}

// freeLimit bounds the clean-up when the host is gone or has said goodbye
// without an Unload. What is not free then is freed by the end of the process.
const freeLimit = 2 * time.Second

// free frees what is held. It logs nothing: the host may be dead, and a write
// to its broken pipe would end the process before the clean-up.
func (s *services) free() {
	ctx, cancel := context.WithTimeout(context.Background(), freeLimit)
	defer cancel()
	if s.backend != nil {
		_ = s.backend.unload(ctx)
	}
	if s.source != nil {
		_ = s.source.close(ctx)
	}
}
