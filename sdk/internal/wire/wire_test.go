package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// anyValue draws a parameter value of the kinds that a Table may hold.
func anyValue(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.String().AsAny(),
		rapid.Float64().Filter(func(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }).AsAny(),
		rapid.Int64Range(1<<53, 1<<53+16).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	return rapid.OneOf(append(leaves,
		rapid.SliceOfN(anyValue(depth-1), 0, 3).AsAny(), anyTable(depth-1).AsAny())...)
}

func anyTable(depth int) *rapid.Generator[sdk.Table] {
	return rapid.Custom(func(t *rapid.T) sdk.Table {
		return sdk.Table(rapid.MapOfN(rapid.String(), anyValue(depth), 0, 4).Draw(t, "table"))
	})
}

// anyOf draws a value of a struct type; words are the values that its string
// types may take, by type.
func anyOf[T any](t *rapid.T, label string) T {
	var v T
	fill(t, reflect.ValueOf(&v).Elem(), label)
	return v
}

// words lists the values of each enumerated string type of the contract.
var words = map[reflect.Type][]string{
	reflect.TypeFor[sdk.Weights]():       {"auto", "dummy"},
	reflect.TypeFor[sdk.Loop]():          {"batch", "closed", "open"},
	reflect.TypeFor[sdk.Depth]():         {"static", "environment"},
	reflect.TypeFor[sdk.Severity]():      {"error", "warning", "dormant"},
	reflect.TypeFor[sdk.EdgeKind]():      {"none", "device_sync", "quiesced"},
	reflect.TypeFor[sdk.Record]():        {"request", "chunk", "token"},
	reflect.TypeFor[sdk.FinishReason]():  {"stopped", "limit", "work_used_up", "aborted"},
	reflect.TypeFor[sdk.StageKind]():     {"download", "build", "weights", "compile", "capture", "start"},
	reflect.TypeFor[sdk.StageMoment]():   {"begin", "progress", "end"},
	reflect.TypeFor[sdk.DomainKind]():    {"gpu", "gpu_memory", "module", "cpu_package", "dram", "node", "rack"},
	reflect.TypeFor[sdk.Reading]():       {"counter", "instant", "trailing_mean", "interval_mean"},
	reflect.TypeFor[sdk.UnitName]():      {"J", "W"},
	reflect.TypeFor[sdk.ParameterType](): {"bool", "int", "float", "string", "list", "table", "free table"},
	reflect.TypeFor[sdk.Role]():          {"measurement", "machine", "execution"},
}

func fill(t *rapid.T, v reflect.Value, label string) {
	if list, ok := words[v.Type()]; ok {
		v.SetString(rapid.SampledFrom(list).Draw(t, label))
		return
	}
	if v.Type() == reflect.TypeFor[sdk.Table]() {
		v.Set(reflect.ValueOf(anyTable(1).Draw(t, label)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), label+"."+v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, label+" set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), label)
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, label+" length")
		if n == 0 {
			return // an empty list arrives as nil
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), fmt.Sprintf("%s[%d]", label, i))
		}
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, label))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, label))
	case reflect.Uint32:
		v.SetUint(uint64(rapid.Uint32().Draw(t, label)))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, label))
	case reflect.Float64:
		v.SetFloat(rapid.Float64Range(-1e300, 1e300).Draw(t, label))
	case reflect.String:
		v.SetString(rapid.String().Draw(t, label))
	default:
		t.Fatalf("%s: cannot draw a %s", label, v.Type())
	}
}

// roundTrip draws values of T and requires that they survive being translated,
// marshalled, unmarshalled and translated back.
func roundTrip[T any, M proto.Message](t *testing.T, draw func(*rapid.T) T, to func(T) (M, error), from func(M) (T, error)) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		want := draw(t)
		message, err := to(want)
		if err != nil {
			t.Fatal(err)
		}
		data, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		arrived := message.ProtoReflect().New().Interface().(M)
		if err := proto.Unmarshal(data, arrived); err != nil {
			t.Fatal(err)
		}
		got, err := from(arrived)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("changed on its way (-sent +arrived):\n%s", diff)
		}
	})
}

func draws[T any](t *rapid.T) T { return anyOf[T](t, "value") }

func sure[T, M any](f func(T) M) func(T) (M, error) {
	return func(v T) (M, error) { return f(v), nil }
}

func TestEveryTypeSurvivesTheRoundTrip(t *testing.T) {
	t.Run("Table", func(t *testing.T) {
		roundTrip(t, func(t *rapid.T) sdk.Table { return anyTable(3).Draw(t, "table") }, ToTable, FromTable)
	})
	t.Run("Cell", func(t *testing.T) { roundTrip(t, draws[sdk.Cell], ToCell, FromCell) })
	t.Run("CellCheck", func(t *testing.T) { roundTrip(t, draws[sdk.CellCheck], sure(ToCheck), sure(FromCheck)) })
	t.Run("StageEvent", func(t *testing.T) { roundTrip(t, draws[sdk.StageEvent], sure(ToStage), sure(FromStage)) })
	t.Run("LoadReport", func(t *testing.T) { roundTrip(t, draws[sdk.LoadReport], ToReport, FromReport) })
	t.Run("Counters", func(t *testing.T) {
		roundTrip(t, func(t *rapid.T) *sdk.Counters { c := draws[sdk.Counters](t); return &c }, sure(ToCounters), sure(FromCounters))
	})
	t.Run("WorkItem", func(t *testing.T) { roundTrip(t, draws[sdk.WorkItem], sure(ToWorkItem), sure(FromWorkItem)) })
	t.Run("RunSpec", func(t *testing.T) { roundTrip(t, draws[sdk.RunSpec], sure(ToRunSpec), FromRunSpec) })
	t.Run("Domain", func(t *testing.T) { roundTrip(t, draws[sdk.Domain], sure(ToDomain), FromDomain) })
	t.Run("SampleBatch", func(t *testing.T) { roundTrip(t, draws[sdk.SampleBatch], sure(ToBatch), sure(FromBatch)) })
	t.Run("WorkHeader", func(t *testing.T) {
		roundTrip(t, func(t *rapid.T) *sdk.Work {
			return &sdk.Work{Sampling: anyOf[sdk.Sampling](t, "sampling"), ExactLengths: rapid.Bool().Draw(t, "exact")}
		}, sure(ToWorkHeader), sure(FromWorkHeader))
	})
}

func TestEveryRunEventSurvivesTheRoundTrip(t *testing.T) {
	event := func(draw func(*rapid.T) sdk.RunEvent) func(*testing.T) {
		return func(t *testing.T) { roundTrip(t, draw, sure(ToRunEvent), FromRunEvent) }
	}
	t.Run("Started", event(func(t *rapid.T) sdk.RunEvent { return draws[sdk.Started](t) }))
	t.Run("Heartbeat", event(func(t *rapid.T) sdk.RunEvent { return draws[sdk.Heartbeat](t) }))
	t.Run("PassRecord", event(func(t *rapid.T) sdk.RunEvent { return draws[sdk.PassRecord](t) }))
	t.Run("Finished", event(func(t *rapid.T) sdk.RunEvent { return draws[sdk.Finished](t) }))
	t.Run("Steps", event(func(t *rapid.T) sdk.RunEvent {
		return append(sdk.Steps{}, draws[sdk.Steps](t)...)
	}))
	t.Run("Completions", event(func(t *rapid.T) sdk.RunEvent {
		return append(sdk.Completions{}, draws[sdk.Completions](t)...)
	}))
}

func TestSchemaSurvivesTheRoundTrip(t *testing.T) {
	literal := func(t *rapid.T, label string) any {
		if !rapid.Bool().Draw(t, label+" set") {
			return nil
		}
		return anyValue(1).Draw(t, label)
	}
	parameter := func(t *rapid.T, children []sdk.Parameter) sdk.Parameter {
		p := sdk.Parameter{
			Key: rapid.String().Draw(t, "key"), Type: sdk.TypeTable, UnitName: rapid.String().Draw(t, "unit"),
			Default: literal(t, "default"), Min: literal(t, "min"), Max: literal(t, "max"),
			Required: rapid.Bool().Draw(t, "required"), Secret: rapid.Bool().Draw(t, "secret"),
			Sweepable: rapid.Bool().Draw(t, "sweepable"), Description: rapid.String().Draw(t, "doc"),
			Since: rapid.String().Draw(t, "since"), Children: children,
		}
		fill(t, reflect.ValueOf(&p.Type).Elem(), "type")
		fill(t, reflect.ValueOf(&p.Role).Elem(), "role")
		for range rapid.IntRange(0, 2).Draw(t, "enum length") {
			p.Enum = append(p.Enum, anyValue(0).Draw(t, "enum"))
		}
		return p
	}
	rapid.Check(t, func(t *rapid.T) {
		want := []sdk.Parameter{parameter(t, []sdk.Parameter{parameter(t, nil)}), parameter(t, nil)}
		messages, err := ToSchema(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := FromSchema(messages)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestEveryErrorCodeSurvivesTheRoundTrip(t *testing.T) {
	for code := range codes.words {
		rapid.Check(t, func(t *rapid.T) {
			want := &sdk.Error{
				Code: code, Message: rapid.StringN(1, 50, -1).Draw(t, "message"), KeyPath: rapid.String().Draw(t, "key"),
				Phase: rapid.String().Draw(t, "phase"), Advice: rapid.String().Draw(t, "advice"),
				Stack: rapid.String().Draw(t, "stack"), Numbers: map[string]int64{"wanted_bytes": rapid.Int64().Draw(t, "bytes")},
			}
			got, ok := FromError(ToError(want))
			if !ok {
				t.Fatal("the detail is lost")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
			if !errors.Is(got, code) {
				t.Fatalf("errors.Is does not hold for %s", code)
			}
		})
	}
}

func TestErrorsOfOtherKinds(t *testing.T) {
	for _, c := range []struct {
		err     error
		code    sdk.Code
		message string
	}{
		{errors.New("disk full"), sdk.Internal, "disk full"},
		{fmt.Errorf("layer 3: %w", sdk.OutOfMemory), sdk.OutOfMemory, "layer 3: out of memory"},
		{fmt.Errorf("tensor 7: %w", &sdk.Error{Code: sdk.ModelMissing, Phase: "load", Message: "no file"}), sdk.ModelMissing, "tensor 7: no file"},
		{fmt.Errorf("wait: %w", context.Canceled), sdk.Cancelled, "wait: context canceled"},
		{context.DeadlineExceeded, sdk.Timeout, "context deadline exceeded"},
		{&sdk.Error{Code: "cosmic_ray", Message: "a bit flipped"}, sdk.Internal, "cosmic_ray: a bit flipped"},
		{errors.New("bad byte \xff"), sdk.Internal, "bad byte \uFFFD"},
		{errors.New(strings.Repeat("x", 10_000)), sdk.Internal, strings.Repeat("x", mostText) + " ..."},
	} {
		got, ok := FromError(ToError(c.err))
		if !ok || got.Code != c.code || got.Message != c.message {
			t.Errorf("%.40v: got %q %q, want %q %q", c.err, got.Code, got.Message, c.code, c.message)
		}
	}
	if ToError(nil) != nil {
		t.Error("no error became one")
	}
	if _, ok := FromError(errors.New("transport")); ok {
		t.Error("an error without a status has a detail")
	}
}

func TestAnUnknownErrorCodeKeepsItsNumber(t *testing.T) {
	s, err := status.New(grpcCode(sdk.Internal), "new").WithDetails(&pb.Error{Code: 17, Message: "new"})
	if err != nil {
		t.Fatal(err)
	}
	got, ok := FromError(s.Err())
	if !ok || got.Code != "unknown(17)" || !strings.Contains(got.Error(), "new") {
		t.Errorf("got %#v", got)
	}
}

func TestUnknownEnumValues(t *testing.T) {
	// Descriptive ones are kept and shown.
	domain, err := FromDomain(&pb.Domain{Id: "d", Kind: 17, Reading: pb.Reading_READING_COUNTER, Unit: pb.Unit_UNIT_JOULE})
	if err != nil || domain.Kind != "unknown(17)" {
		t.Errorf("got %q, %v", domain.Kind, err)
	}
	if s := FromStage(&pb.Stage{Kind: 17}); s.Kind != "unknown(17)" {
		t.Errorf("got %q", s.Kind)
	}
	if c := FromCheck(&pb.CellCheck{Edge: 17, Loops: []pb.Loop{17}}); c.Edge != "unknown(17)" || c.Loops[0] != "unknown(17)" {
		t.Errorf("got %+v", c)
	}
	// An unknown severity refuses: nobody knows that it is harmless.
	if c := FromCheck(&pb.CellCheck{Diagnostics: []*pb.Diagnostic{{Severity: 17}}}); !c.Refused() {
		t.Error("a cell with a diagnostic of unknown severity would run")
	}
	strange := &pb.Value{}
	report, err := FromReport(&pb.LoadReport{Resolved: &pb.TableValue{Entries: map[string]*pb.Value{"matrix": strange}}})
	if err != nil || report.Resolved["matrix"] != "unknown value" {
		t.Errorf("got %v, %v", report.Resolved, err)
	}
	schema, err := FromSchema([]*pb.Parameter{{Key: "matrix", Default: strange, Type: 17, Role: 17}})
	if err != nil || schema[0].Default != "unknown value" || schema[0].Type != "unknown(17)" || schema[0].Role != "unknown(17)" {
		t.Errorf("got %+v, %v", schema, err)
	}
	// Those that would change arithmetic, or what is run, are errors by name.
	for name, err := range map[string]error{
		"unit":    second(FromDomain(&pb.Domain{Id: "psys", Reading: pb.Reading_READING_COUNTER, Unit: 17})),
		"reading": second(FromDomain(&pb.Domain{Id: "psys", Reading: 17, Unit: pb.Unit_UNIT_JOULE})),
		"value":   second(FromTable(&pb.TableValue{Entries: map[string]*pb.Value{"matrix": strange}})),
		"loop":    second(FromRunSpec(&pb.RunRequest{Loop: 17, Record: pb.Record_RECORD_CHUNK})),
		"record":  second(FromRunSpec(&pb.RunRequest{Loop: pb.Loop_LOOP_BATCH})),
		"kind":    second(FromStopKind(17)),
		"depth":   second(FromDepth(17)),
		"weights": second(FromCell(&pb.Cell{Load: &pb.LoadShape{Loop: pb.Loop_LOOP_BATCH}, Model: &pb.Model{Weights: 17}})),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("an unknown %s gives %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestUnknownFieldsAreFoundAtEveryDepth(t *testing.T) {
	strange := []byte{0xfa, 0x07, 0x01, 'x'} // field 127, a string
	inner := &pb.Value{Kind: &pb.Value_IntValue{IntValue: 1}}
	inner.ProtoReflect().SetUnknown(strange)
	list := &pb.Value{Kind: &pb.Value_ListValue{ListValue: &pb.ListValue{Values: []*pb.Value{inner}}}}
	request := &pb.LoadRequest{Cell: &pb.Cell{Parameters: &pb.TableValue{Entries: map[string]*pb.Value{"a": list}}}}
	if !HasUnknown(request) {
		t.Error("not found in a list in a map")
	}
	inner.ProtoReflect().SetUnknown(nil)
	if HasUnknown(request) {
		t.Error("found where there is none")
	}
	request.ProtoReflect().SetUnknown(strange)
	if !HasUnknown(request) {
		t.Error("not found at the top")
	}
}

func TestColumnsOfDifferentLengthAreRefused(t *testing.T) {
	for _, r := range []*pb.RunResponse{
		{Event: &pb.RunResponse_Steps{Steps: &pb.Steps{EndNs: []int64{1, 2}, PrefillTokens: []uint32{1}, DecodeTokens: []uint32{1, 2}}}},
		{Event: &pb.RunResponse_Completions{Completions: &pb.Completions{Items: []*pb.Completion{{ChunkDeltaNs: []int64{1}}}}}},
	} {
		if _, err := FromRunEvent(r); err == nil {
			t.Errorf("accepted: %v", r)
		}
	}
}

// FuzzRunEvent feeds a host whatever a broken plugin may send.
func FuzzRunEvent(f *testing.F) {
	for _, e := range []sdk.RunEvent{
		sdk.Started{MonoNs: 1}, sdk.Steps{{EndNs: 1}}, sdk.Completions{{Request: 1, Chunks: []sdk.Chunk{{MonoNs: 5, Tokens: 1}}}},
		sdk.Finished{Applied: sdk.RunSpec{Loop: sdk.LoopBatch, Record: sdk.RecordToken}},
	} {
		data, err := proto.Marshal(ToRunEvent(e))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var message pb.RunResponse
		if proto.Unmarshal(data, &message) != nil {
			return
		}
		event, err := FromRunEvent(&message)
		if err != nil || event == nil {
			return
		}
		again, err := FromRunEvent(ToRunEvent(event))
		if err != nil {
			return // an enum value that has no word
		}
		if diff := cmp.Diff(event, again, cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })); diff != "" && !strings.Contains(diff, "unknown(") {
			t.Error(diff)
		}
	})
}
