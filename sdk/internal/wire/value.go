package wire

import (
	"fmt"
	"unicode/utf8"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// ToValue translates one parameter value. Values of schema literals may be
// plain Go ints; anything that a Table cannot hold is an error.
func ToValue(v any) (*pb.Value, error) {
	normal, err := sdk.Normalize(v)
	if err != nil {
		return nil, err
	}
	switch x := normal.(type) {
	case bool:
		return &pb.Value{Kind: &pb.Value_BoolValue{BoolValue: x}}, nil
	case int64:
		return &pb.Value{Kind: &pb.Value_IntValue{IntValue: x}}, nil
	case float64:
		return &pb.Value{Kind: &pb.Value_FloatValue{FloatValue: x}}, nil
	case string:
		if !utf8.ValidString(x) {
			return nil, fmt.Errorf("the text %q is not UTF-8", x)
		}
		return &pb.Value{Kind: &pb.Value_StringValue{StringValue: x}}, nil
	case []any:
		list := &pb.ListValue{}
		for i, element := range x {
			value, err := ToValue(element)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			list.Values = append(list.Values, value)
		}
		return &pb.Value{Kind: &pb.Value_ListValue{ListValue: list}}, nil
	}
	table, err := ToTable(normal.(sdk.Table))
	if err != nil {
		return nil, err
	}
	return &pb.Value{Kind: &pb.Value_TableValue{TableValue: table}}, nil
}

// ToTable translates a table; nil stays nil.
func ToTable(t sdk.Table) (*pb.TableValue, error) {
	if t == nil {
		return nil, nil
	}
	out := &pb.TableValue{Entries: map[string]*pb.Value{}}
	for key, v := range t {
		if !utf8.ValidString(key) {
			return nil, fmt.Errorf("the key %q is not UTF-8", key)
		}
		value, err := ToValue(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out.Entries[key] = value
	}
	return out, nil
}

// FromValue translates one value. A kind that this version does not know is an
// error: what is set cannot be guessed.
func FromValue(v *pb.Value) (any, error) { return fromValue(v, refuseUnknown) }

// FromTable translates a table; nil becomes an empty one.
func FromTable(t *pb.TableValue) (sdk.Table, error) { return fromTable(t, refuseUnknown) }

// onUnknown says what to do with a value of a kind that this version does not
// know.
type onUnknown func() (any, error)

func refuseUnknown() (any, error) {
	return nil, &sdk.Error{
		Code: sdk.InvalidRequest, Message: "a value of a kind that this version does not know",
		Advice: "update llem or the plugin so that both speak the same contract",
	}
}

// showUnknown is for values that only describe, in answers of a newer plugin.
func showUnknown() (any, error) { return "unknown value", nil }

func fromValue(v *pb.Value, unknown onUnknown) (any, error) {
	switch x := v.GetKind().(type) {
	case *pb.Value_BoolValue:
		return x.BoolValue, nil
	case *pb.Value_IntValue:
		return x.IntValue, nil
	case *pb.Value_FloatValue:
		return x.FloatValue, nil
	case *pb.Value_StringValue:
		return x.StringValue, nil
	case *pb.Value_ListValue:
		list := make([]any, len(x.ListValue.GetValues()))
		for i, element := range x.ListValue.GetValues() {
			value, err := fromValue(element, unknown)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			list[i] = value
		}
		return list, nil
	case *pb.Value_TableValue:
		return fromTable(x.TableValue, unknown)
	}
	return unknown()
}

func fromTable(t *pb.TableValue, unknown onUnknown) (sdk.Table, error) {
	out := sdk.Table{}
	for key, v := range t.GetEntries() {
		value, err := fromValue(v, unknown)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out[key] = value
	}
	return out, nil
}
