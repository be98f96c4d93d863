// Command plugin is the plugin that the tests of package registry install and
// start. Its arguments say how it describes itself, or how it misbehaves.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

type engine struct{ description sdk.Description }

func (e engine) Describe() sdk.Description { return e.description }

func (e engine) Load(context.Context, sdk.LoadRequest, *sdk.Progress) (sdk.LoadReport, error) {
	return sdk.LoadReport{Engine: "none"}, nil
}

func (e engine) Run(context.Context, *sdk.Run) error { return nil }

func (e engine) Unload(context.Context) error { return nil }

func main() {
	d := sdk.Description{
		Doc:        "A plugin for tests.",
		Parameters: []sdk.Parameter{sdk.Int("large").Or(int64(1)<<53 + 1).Doc("A number that no float64 holds.")},
	}
	flag.StringVar(&d.Name, "name", "sample", "name")
	flag.StringVar(&d.Version, "version", "1.0.0", "version")
	flag.StringVar(&d.LeastCore, "least-core", "", "least core version")
	starts := flag.String("starts", "", "file that gets a line at each start")
	fault := flag.String("fault", "", "garbage or exit")
	flag.Parse()
	if *starts != "" {
		f, err := os.OpenFile(*starts, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, os.Getpid())
		f.Close()
	}
	switch *fault {
	case "garbage":
		fmt.Println("Loading CUDA libraries, please wait")
	case "secret":
		d.Parameters = append(d.Parameters, sdk.Nested("hub", sdk.Text("token").Hidden().Doc("Never resolved.")).Doc("The hub."))
	case "exit":
		fmt.Fprintln(os.Stderr, "libcuda.so.1: cannot open shared object file")
		os.Exit(3)
	}
	serve.Backend(engine{d})
}
