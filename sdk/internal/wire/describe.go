package wire

import (
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// ToSchema translates a parameter schema.
func ToSchema(schema []sdk.Parameter) ([]*pb.Parameter, error) {
	var out []*pb.Parameter
	for _, p := range schema {
		one, err := toParameter(p)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.Key, err)
		}
		out = append(out, one)
	}
	return out, nil
}

func toParameter(p sdk.Parameter) (*pb.Parameter, error) {
	out := &pb.Parameter{
		Key: p.Key, Type: parameterTypes.to(p.Type), Unit: p.UnitName, Required: p.Required, Secret: p.Secret,
		Role: roles.to(p.Role), Sweepable: p.Sweepable, Doc: p.Description, Since: p.Since,
		ElementType: parameterTypes.to(p.Element), Format: text(p.Format),
	}
	for _, literal := range []struct {
		from any
		to   **pb.Value
	}{{p.Default, &out.Default}, {p.Min, &out.Min}, {p.Max, &out.Max}} {
		if literal.from == nil {
			continue
		}
		value, err := ToValue(literal.from)
		if err != nil {
			return nil, err
		}
		*literal.to = value
	}
	for _, v := range p.Enum {
		value, err := ToValue(v)
		if err != nil {
			return nil, err
		}
		out.Enum = append(out.Enum, value)
	}
	children, err := ToSchema(p.Children)
	out.Children = children
	return out, err
}

// FromSchema translates a parameter schema. A type that this version does not
// know is kept and shown; a study that sets such a parameter is refused.
func FromSchema(schema []*pb.Parameter) ([]sdk.Parameter, error) {
	var out []sdk.Parameter
	for _, p := range schema {
		one, err := fromParameter(p)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.GetKey(), err)
		}
		out = append(out, one)
	}
	return out, nil
}

func fromParameter(p *pb.Parameter) (sdk.Parameter, error) {
	out := sdk.Parameter{
		Key: p.GetKey(), Type: parameterTypes.from(p.GetType()), UnitName: p.GetUnit(), Required: p.GetRequired(),
		Secret: p.GetSecret(), Role: roles.from(p.GetRole()), Sweepable: p.GetSweepable(), Description: p.GetDoc(),
		Since: p.GetSince(), Element: parameterTypes.from(p.GetElementType()), Format: p.GetFormat(),
	}
	for _, literal := range []struct {
		from *pb.Value
		to   *any
	}{{p.GetDefault(), &out.Default}, {p.GetMin(), &out.Min}, {p.GetMax(), &out.Max}} {
		if literal.from == nil {
			continue
		}
		value, err := fromValue(literal.from, showUnknown)
		if err != nil {
			return out, err
		}
		*literal.to = value
	}
	for _, v := range p.GetEnum() {
		value, err := fromValue(v, showUnknown)
		if err != nil {
			return out, err
		}
		out.Enum = append(out.Enum, value)
	}
	children, err := FromSchema(p.GetChildren())
	out.Children = children
	return out, err
}

// ToKinds translates the kinds of a binary.
func ToKinds(list []sdk.Kind) []pb.Kind {
	var out []pb.Kind
	for _, k := range list {
		out = append(out, kinds.to(k))
	}
	return out
}

// FromDescribe translates the answer of Describe.
func FromDescribe(d *pb.DescribeResponse) (sdk.DescribeReport, error) {
	report := sdk.DescribeReport{
		Name: d.GetName(), Version: d.GetVersion(), LeastCore: d.GetLeastCoreVersion(), Doc: d.GetDoc(),
		SDKVersion: d.GetSdkVersion(), ProtocolMinor: d.GetProtocolMinor(), Features: d.GetFeatures(),
		MonoNowNs: d.GetMonoNowNs(), BootID: d.GetBootId(), UnknownFieldsSet: hasUnknown(d.ProtoReflect()),
	}
	for _, k := range d.GetKinds() {
		report.Kinds = append(report.Kinds, kinds.from(k))
	}
	var err error
	if report.BackendSchema, err = FromSchema(d.GetBackendParameters()); err != nil {
		return report, err
	}
	report.SourceSchema, err = FromSchema(d.GetSourceParameters())
	return report, err
}
