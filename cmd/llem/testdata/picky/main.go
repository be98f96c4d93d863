// Command picky is a backend for the tests of llem: it refuses some cells,
// wants a secret, says on stderr only that it got one, and talks to the
// terminal where it can. What PICKY_LACKS names is not on the machine,
// of which it warns with PICKY_DOUBT.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

func main() { serve.Backend(picky{}) }

type picky struct{}

// steering clears a terminal, in both ways to write that, and turns text around.
const steering = "\x1b[2J\u009b2J\u202e\nnext"

func (picky) Describe() sdk.Description {
	return sdk.Description{
		Name: "picky", Version: "1.2.3", Doc: "Refuses cells and wants a secret.",
		Parameters: []sdk.Parameter{
			sdk.Int("context").Unit("tokens").Or(64).Between(16, 4096).Doc("Longest sequence."),
			sdk.Text("token").Hidden().Doc("Token of the hub."),
		},
		Abilities: sdk.Abilities{Edge: sdk.EdgeQuiesced, MaxCancelMs: 1000},
	}
}

// Check implements sdk.Checker.
func (picky) Check(_ context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	checks := make([]sdk.CellCheck, len(cells))
	for i, cell := range cells {
		checks[i].Loops, checks[i].Edge, checks[i].MaxCancelMs = []sdk.Loop{sdk.LoopBatch}, sdk.EdgeQuiesced, 1000
		need, room := int64(cell.Workload.MaxInputTokens+cell.Workload.MaxOutputTokens), cell.Parameters.Int("context", 64)
		checks[i].Diagnostics = append(checks[i].Diagnostics, sdk.Diagnostic{
			Severity: sdk.SeverityWarning, KeyPath: "context", Message: "short" + steering,
		})
		if need > room {
			checks[i].Diagnostics = append(checks[i].Diagnostics, sdk.Diagnostic{
				Severity: sdk.SeverityError, KeyPath: "context",
				Message: fmt.Sprintf("%d tokens do not fit into a context of %d", need, room), Advice: "raise context or shorten the workload",
			})
		}
		if doubt := os.Getenv("PICKY_DOUBT"); doubt != "" && depth == sdk.DepthEnvironment {
			checks[i].Diagnostics = append(checks[i].Diagnostics, sdk.Diagnostic{Severity: sdk.SeverityWarning, KeyPath: "context", Message: doubt})
		}
		if lacks := os.Getenv("PICKY_LACKS"); lacks != "" && depth == sdk.DepthEnvironment {
			checks[i].Diagnostics = append(checks[i].Diagnostics, sdk.Diagnostic{
				Severity: sdk.SeverityError, KeyPath: "context", Message: lacks + " is not installed", Advice: "apt install " + lacks,
			})
		}
	}
	return checks, nil
}

func (picky) Load(_ context.Context, req sdk.LoadRequest, _ *sdk.Progress) (sdk.LoadReport, error) {
	fmt.Fprintf(os.Stderr, "token with sum %x\n", sha256.Sum256([]byte(req.Secrets["token"])))
	return sdk.LoadReport{}, &sdk.Error{Code: sdk.ModelMissing, Message: "the hub has no such model" + steering}
}

func (picky) Run(context.Context, *sdk.Run) error { return nil }

func (picky) Unload(context.Context) error { return nil }
