package serve_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// The test binary is the plugin of the example, too.
func TestMain(m *testing.M) {
	switch os.Getenv("TEST_AS_PLUGIN") {
	case "":
	case "slow counters":
		serve.Backend(&slowCounter{})
		return
	default:
		serve.Backend(&engine{})
		return
	}
	os.Exit(m.Run())
}

func TestTheExampleIsShort(t *testing.T) {
	text, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines > 60 {
		t.Errorf("a minimal backend takes %d lines, with 60 promised", lines)
	}
}

func TestTheExampleMeasures(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := host.Start(t.Context(), host.Command{Path: path, Env: []string{"TEST_AS_PLUGIN=1"}}, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	cell := sdk.Cell{ID: "c", Parameters: sdk.Table{"token_us": int64(100)}, Load: sdk.LoadShape{Loop: sdk.LoopBatch}}
	checks, err := p.Check(t.Context(), []sdk.Cell{cell}, sdk.DepthStatic)
	if err != nil || checks[0].Refused() || checks[0].MaxCancelMs != 5000 || checks[0].Loops[0] != sdk.LoopBatch {
		t.Errorf("checks are %+v, %v", checks, err)
	}
	report, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil)
	if err != nil || report.Resolved["token_us"] != int64(100) {
		t.Fatalf("report is %+v, %v", report, err)
	}
	work := &sdk.Work{ExactLengths: true}
	for range 6 {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{1, 2}, MaxTokens: 5})
	}
	prepared, err := p.Prepare(t.Context(), work)
	if err != nil {
		t.Fatal(err)
	}
	finished, err := p.Run(t.Context(), sdk.RunSpec{
		WorkID: prepared.WorkID, Loop: sdk.LoopBatch, RequestsPerPass: 2, Record: sdk.RecordRequest, MaxPasses: 2,
	}, func(sdk.RunEvent) error { return nil })
	if err != nil || finished.Passes != 2 || finished.OutputTokens != 20 || finished.Reason != sdk.FinishLimit {
		t.Errorf("finished is %+v, %v", finished, err)
	}
	if err := p.Unload(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStartedByHandAPluginSaysWhatItIs(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "TEST_AS_PLUGIN=1", "LLEM_PLUGIN=")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || out.Len() != 0 {
		t.Errorf("got %v and %q", err, out.String())
	}
	if text := errs.String(); !strings.Contains(text, "is an llem plugin") || !strings.Contains(text, "`llem plugins install "+path+"`") {
		t.Errorf("it said %q", text)
	}
}
