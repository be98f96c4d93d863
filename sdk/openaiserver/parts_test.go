package openaiserver

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

func TestArguments(t *testing.T) {
	table := []Parameter{
		Flag("--seqs", sdk.Int("seqs")), Flag("--stop", sdk.List("stop", sdk.TypeString)), Flag("--share", sdk.Float("share")),
		Switch("--eager", "", sdk.Bool("eager")), Switch("--cache", "--no-cache", sdk.Bool("cache")),
		JSON("--config", sdk.Free("config")), Env("THREADS", sdk.Int("threads")), Own(sdk.Text("python")),
	}
	for want, settings := range map[string]sdk.Table{
		"": {},
		"--seqs 3 --stop a b --share 0.5 --eager --cache": {"seqs": int64(3), "stop": []any{"a", "b"}, "share": 0.5, "eager": true, "cache": true, "python": "p"},
		"--no-cache": {"eager": false, "cache": false},
		`--config {"deep":{"n":1},"list":["x",2.5],"whole":2.0}`: {"config": sdk.Table{"deep": sdk.Table{"n": int64(1)}, "list": []any{"x", 2.5}, "whole": 2.0}},
		"--seqs 3 --more --x=1":                                  {"seqs": int64(3), extraKey: []any{"--more", "--x=1"}},
		"| THREADS=2 A=1 B=true":                                 {"threads": int64(2), envKey: sdk.Table{"B": true, "A": int64(1)}},
	} {
		args, env, err := arguments(table, settings)
		got := strings.Join(args, " ")
		if len(env) > 0 {
			got += "| " + strings.Join(env, " ")
		}
		if err != nil || got != want {
			t.Errorf("%v gives %q, want %q; error %v", settings, got, want, err)
		}
	}
}

func TestTheKeyOfAFlag(t *testing.T) {
	table := []Parameter{Flag("--max", sdk.Int("max")), Flag("--max-num", sdk.Int("num")), Flag("-c", sdk.Int("c")), Env("MAX", sdk.Int("env")), Own(sdk.Text("own"))}
	for line, want := range map[string]string{
		"error: argument --max-num: invalid int": "num", "error: argument --max: expected": "max", "--max=3 is odd": "max",
		"invalid argument: -c": "c", "invalid argument: -cx": "", "unknown --max-num-seqs": "", "nothing": "", "MAX is no number": "env",
	} {
		if got := keyOf(table, line); got != want {
			t.Errorf("%q is about %q, want %q", line, got, want)
		}
	}
}

func TestTheLineThatMatters(t *testing.T) {
	for want, text := range map[string]string{
		"ValueError: bad head size 16": `Traceback (most recent call last):
  File "x.py", line 1, in <module>
    raise ValueError("bad head size 16")
ValueError: bad head size 16
RuntimeError: Engine core initialization failed. See root cause above.
WARNING could not make a kernel, another is taken. Exception: no such primitive
INFO bye`,
		"terminate called after throwing": "a\nterminate called after throwing\nb",
		"fatal: no room":                  "fatal: no room\nINFO Route: /abort_requests",
		"the last one":                    "first\nthe last one\n\n",
		"":                                "",
	} {
		if got, _ := findFault(&Engine{}, strings.Split(text, "\n")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMetricsText(t *testing.T) {
	found, err := parseMetrics([]byte(`# HELP a x
# TYPE a counter
a{l="1"} 2
a{l="}\" 9"} 3 1395066363000
b 1e3
c_bucket{le="+Inf"} 7
c_sum 0.25
d NaN
`))
	if want := (series{"a": 5, "b": 1000, "c_sum": 0.25}); err != nil || !maps.Equal(found, want) {
		t.Errorf("%v, error %v", found, err)
	}
	for _, bad := range []string{"a", "a{b 1", "a x", "{} 1"} {
		if _, err := parseMetrics([]byte(bad)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
	c := Metrics{PromptTokens: "a", CachedPromptTokens: "b", CachedInPrompt: true, OutputTokens: "none"}.counters(found)
	if *c.PromptTokens != 1005 || c.OutputTokens != nil || c.EngineSteps != nil {
		t.Errorf("%+v", c)
	}
}

func TestAddresses(t *testing.T) {
	for text, says := range map[string]string{
		"http://127.0.0.1:8000": "", "http://localhost:8000/": "", "http://[::1]:8000": "", "http://host/engines/a": "", "http://host/v1beta": "",
		"": "needs the server's address", "127.0.0.1:8000": "first path segment", "localhost:8000": "no http:// address", "https://host": "no http:// address",
		"http:///v1/models": "no http:// address", "http://host/v1": "ends in /v1", "http://host:8000/v1/": "ends in /v1", "http://host?key=x": "has a query", "http://host#a": "has a query",
		"http://me:s3cret@host": "a key belongs into api_key", "http://me:s3cret@host:port": "invalid port",
	} {
		err := checkURL(sdk.Table{urlKey: text})
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: error %v, want %q", text, err, says)
		}
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add([]byte("a{b=\"c\\\"}\"} 1 2\n# x\n\nd 3"))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := parseMetrics(text)
		for name := range found {
			if err != nil || name == "" || strings.ContainsAny(name, "{ \t") {
				t.Errorf("%q in %v, error %v", name, found, err)
			}
		}
	})
}

func TestChecks(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*sdk.Cell)
		found  string
	}{
		"fine":       {func(*sdk.Cell) {}, ""},
		"a path":     {func(c *sdk.Cell) { c.Model.Path = path }, ""},
		"no path":    {func(c *sdk.Cell) { c.Model.Path = "/nowhere" }, "error model.path"},
		"no model":   {func(c *sdk.Cell) { c.Model = sdk.Model{} }, "error model.id"},
		"url":        {func(c *sdk.Cell) { c.Parameters["url"] = "http://x" }, "dormant url"},
		"attach":     {func(c *sdk.Cell) { c.Parameters["mode"] = "attach" }, "error url"},
		"attach tls": {func(c *sdk.Cell) { c.Parameters["mode"], c.Parameters["url"] = "attach", "https://x" }, "error url"},
		"attach more": {func(c *sdk.Cell) {
			c.Parameters["mode"], c.Parameters["url"], c.Parameters["cache"], c.Parameters["container"] = "attach", "http://x", true, testImage
		}, "dormant cache, dormant container"},
	} {
		cell := testCell(sdk.Table{})
		c.change(&cell)
		checks, err := Backend(testEngine()).(sdk.Checker).Check(t.Context(), []sdk.Cell{cell}, sdk.DepthEnvironment)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range checks[0].Diagnostics {
			got = append(got, string(d.Severity)+" "+d.KeyPath)
		}
		if strings.Join(got, ", ") != c.found {
			t.Errorf("%s: %+v, want %s", name, checks[0].Diagnostics, c.found)
		}
	}
	e := testEngine()
	e.Command = func(Launch) ([]string, error) { return []string{"/no/such/server"}, nil }
	checks, err := Backend(e).(sdk.Checker).Check(t.Context(), []sdk.Cell{testCell(sdk.Table{})}, sdk.DepthEnvironment)
	if err != nil || !checks[0].Refused() || !strings.Contains(checks[0].Diagnostics[0].Message, "/no/such/server") {
		t.Errorf("%+v, error %v", checks, err)
	}
	_, err = Backend(e).Load(t.Context(), sdk.LoadRequest{Cell: testCell(sdk.Table{}), WorkDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
	if !errors.Is(err, sdk.EngineMissing) {
		t.Errorf("error %v", err)
	}
}
