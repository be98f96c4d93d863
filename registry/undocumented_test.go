package registry

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
)

func TestWhatHasNoDocIsNamed(t *testing.T) {
	report := sdk.DescribeReport{
		Name:          "x",
		BackendSchema: []sdk.Parameter{sdk.Int("a").Doc("A."), sdk.Nested("t", sdk.Bool("b")).Doc("T.")},
		SourceSchema:  []sdk.Parameter{sdk.Text("c")},
	}
	if diff := cmp.Diff([]string{"the plugin itself", "t.b", "c"}, undocumented(report)); diff != "" {
		t.Error(diff)
	}
}
