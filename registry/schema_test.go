package registry

import (
	"math"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
)

func TestReportRoundTrip(t *testing.T) {
	schema := []sdk.Parameter{
		sdk.Int("threads").Or(int64(1)<<53+1).Between(int64(math.MinInt64), int64(math.MaxInt64)).Unit("threads").Doc("Workers."),
		sdk.Float("share").Or(1.0).AtLeast(0.25),
		sdk.Text("kind").OneOf("a", "b").Must().AddedIn("1.1.0"),
		sdk.Text("token").Hidden(),
		sdk.Bool("fast").Or(false).For(sdk.RoleExecution),
		sdk.List("ids", sdk.TypeInt).Or([]any{int64(1), 2.0, "x", []any{}}),
		sdk.Nested("kv", sdk.Text("type").Or(""), sdk.Nested("deep", sdk.Int("n").OneOf(int64(1), int64(2)))),
		sdk.Free("extra").Or(sdk.Table{"k": sdk.Table{}, "b": true}),
	}
	want := sdk.DescribeReport{
		Name: "x", Version: "1.0.0", LeastCore: "0.1.0", Doc: "Doc.", SDKVersion: "0.1.0",
		Kinds: []sdk.Kind{sdk.KindBackend}, ProtocolMinor: 1, Features: []string{"f"},
		BackendSchema: schema, SourceSchema: schema[:1], UnknownFieldsSet: true,
	}
	data, err := encodeReport(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeReport(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A field of type any that is not kept by hand would lose integers silently.
func TestEveryAnyFieldIsKept(t *testing.T) {
	var found []string
	for i := range reflect.TypeFor[sdk.Parameter]().NumField() {
		field := reflect.TypeFor[sdk.Parameter]().Field(i)
		kind := field.Type
		if kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Interface || kind.Kind() == reflect.Map {
			found = append(found, field.Name)
		}
	}
	if diff := cmp.Diff([]string{"Default", "Enum", "Min", "Max"}, found); diff != "" {
		t.Error(diff)
	}
}

func TestDamagedReportIsRefused(t *testing.T) {
	for _, data := range []string{"", "{", "{}", `{"Layout": 2}`, `[]`} {
		if _, err := decodeReport([]byte(data)); err == nil {
			t.Errorf("%q passed", data)
		}
	}
}
