package sdk_test

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

func TestSecretsStandAtTheTop(t *testing.T) {
	inner := sdk.Nested("auth", sdk.Nested("hub", sdk.Text("user"), sdk.Text("token").Hidden()))
	for want, schema := range map[string][]sdk.Parameter{
		"": {sdk.Text("token").Hidden(), sdk.Nested("auth", sdk.Text("user"))},
		"parameter auth.hub.token: a secret inside a table is never resolved; it has to stand at the top of the plugin's parameters": {sdk.Text("token").Hidden(), inner},
	} {
		got := ""
		if err := sdk.CheckSecrets(schema); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A value that is only written in the wrong form is shown in the right one.
func TestWrongTypesShowTheRightForm(t *testing.T) {
	schema := []sdk.Parameter{sdk.Int("batch_size"), sdk.List("devices", sdk.TypeString), sdk.List("sizes", sdk.TypeInt)}
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"batch_size", 4.0, "; write 4"},
		{"batch_size", 4.5, ""},
		{"batch_size", "4", ""},
		{"devices", "gpu", `; write ["gpu"]`},
		{"sizes", int64(4), "; write [4]"},
		{"sizes", "4", ""},
	} {
		found := sdk.CheckTable(schema, sdk.Table{c.key: c.value})
		if len(found) != 1 {
			t.Fatalf("%s = %v: %+v", c.key, c.value, found)
		}
		_, hint, _ := strings.Cut(found[0].Message, ";")
		if _, want, _ := strings.Cut(c.want, ";"); hint != want {
			t.Errorf("%s = %v: %q", c.key, c.value, found[0].Message)
		}
	}
}
