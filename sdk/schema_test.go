package sdk_test

import (
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
