package wire

import (
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// ToWarnings translates warnings for the wire.
func ToWarnings(list []sdk.Warning) []*pb.Warning {
	var out []*pb.Warning
	for _, w := range list {
		out = append(out, &pb.Warning{Code: text(w.Code), Message: text(w.Message), KeyPath: text(w.KeyPath)})
	}
	return out
}

// FromWarnings translates warnings from the wire.
func FromWarnings(list []*pb.Warning) []sdk.Warning {
	var out []sdk.Warning
	for _, w := range list {
		out = append(out, sdk.Warning{Code: w.GetCode(), Message: w.GetMessage(), KeyPath: w.GetKeyPath()})
	}
	return out
}
