// Package transport is what both sides of the seam must agree on before the
// first message: the handshake and how services hang on a connection.
package transport

import (
	"context"
	"errors"
	"os"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Major is the contract's major version; a plugin of another is refused in the
// handshake.
const Major = 1

// Name of the one entry in the transport's plugin set.
const Name = "llem"

// MostMessageBytes is the contract's limit for one message.
const MostMessageBytes = 1 << 20

// RefusedMessageBytes is where a receiver stops reading: well above the limit,
// so that a sender who misjudges the framing is not cut off, and low enough
// that no peer can fill the other's memory with one message.
const RefusedMessageBytes = 4 << 20

// Handshake tells a plugin that it was started by a host and not by a person.
// It is a courtesy, no security.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  Major,
	MagicCookieKey:   "LLEM_PLUGIN",
	MagicCookieValue: "a7f0c1d2-llem-backend-or-energy-source",
}

// Started tells whether this process was started by a host.
func Started() bool {
	return os.Getenv(Handshake.MagicCookieKey) == Handshake.MagicCookieValue
}

// Services is the entry of the plugin set. Register is nil on the host's side,
// whose Dispense gives the bare connection.
type Services struct {
	plugin.NetRPCUnsupportedPlugin
	Register func(*grpc.Server)
}

// GRPCServer hangs the services on the server.
func (s *Services) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	if s.Register == nil {
		return errors.New("transport: this side serves nothing")
	}
	s.Register(server)
	return nil
}

// GRPCClient returns the connection itself.
func (s *Services) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, connection *grpc.ClientConn) (any, error) {
	return connection, nil
}

var _ plugin.GRPCPlugin = (*Services)(nil)
