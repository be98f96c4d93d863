package openaiserver

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// oneGPU is a driver of one GPU that shows nobody on it.
func oneGPU(t *testing.T) {
	t.Helper()
	program(t, "case $1 in -L) echo 'GPU 0: NVIDIA H100 (UUID: "+gpuA+")' ;; esac")
}

// program puts a shell script on the PATH in the place of nvidia-smi.
func program(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// withoutDriver hides any driver of this machine.
func withoutDriver(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", t.TempDir())
	before := kernelDrivers
	kernelDrivers = nil
	t.Cleanup(func() { kernelDrivers = before })
}

// An attached server's GPUs are those of the processes that listen at its address, and
// of what these started; where nothing tells, the study has to, or there are no joules.
func TestTheGPUsOfAnAttachedServer(t *testing.T) {
	first := load(t, sdk.Table{}, nil)
	if first.err != nil {
		t.Fatal(first.err)
	}
	shown := func(apps string) func(*testing.T) { return func(t *testing.T) { driver(t, apps) } }
	maybe, one, two := sdk.DeviceNeed{Kind: "gpu", Max: 1}, sdk.DeviceNeed{Kind: "gpu", Min: 1, Max: 1}, sdk.DeviceNeed{Kind: "gpu", Min: 2, Max: 2}
	const none = "unset"
	for name, c := range map[string]struct {
		driver        func(*testing.T)
		said, visible string
		told          sdk.Table // by the server
		need          sdk.DeviceNeed
		want, says    string
	}{
		"held":                           {shown(children(gpuB)), "", none, nil, maybe, gpuB + " cpu", ""},
		"held, whatever is visible":      {shown(children(gpuB)), "cuda", "0", nil, one, gpuB + " cpu", ""},
		"held, whatever is said":         {shown(children(gpuB)), "cpu", none, nil, maybe, gpuB + " cpu", ""},
		"held by all of it":              {shown(children(gpuC, gpuB)), "", none, nil, two, gpuB + " " + gpuC + " cpu", ""},
		"the engine says cpu":            {shown(children(gpuB)), "cuda", none, sdk.Table{"device": "cpu"}, maybe, "cpu", ""},
		"held in part":                   {shown(children(gpuB)), "", none, nil, two, "", "hold 1 of the 2 GPUs"},
		"held in part, and said":         {shown(children(gpuB)), "cuda", "2,1", nil, two, gpuC + " " + gpuB + " cpu", "hold 1 of the 2 GPUs"},
		"hidden":                         {shown("true"), "", none, nil, maybe, "", "nor one that came of it"},
		"hidden, with one visible":       {shown("true"), "", "2", nil, maybe, "", "nor one that came of it"},
		"others' alone":                  {shown("echo '" + gpuA + ", 1'"), "", none, nil, maybe, "", "nor one that came of it"},
		"hidden, said to be the CPU's":   {shown("true"), "cpu", none, nil, maybe, "cpu", ""},
		"hidden, said to be CUDA":        {shown("true"), "cuda", none, nil, maybe, "", "does not say which of 3 GPUs"},
		"hidden, all that are visible":   {shown("true"), "cuda", "2,0", nil, maybe, gpuC + " " + gpuA + " cpu", "taken to hold those of CUDA_VISIBLE_DEVICES"},
		"hidden, the engine says CUDA":   {shown("true"), "", none, sdk.Table{"device": "cuda"}, maybe, "", "does not say which of 3 GPUs"},
		"hidden, fewer than needed":      {shown("true"), "cuda", "2", nil, two, "", "names 1 GPUs of this host"},
		"hidden, none visible":           {shown("true"), "cuda", "", nil, maybe, "", "names 0 GPUs of this host"},
		"hidden, nonsense visible":       {shown("true"), "cuda", "0,9", nil, maybe, "", "there is no GPU 9"},
		"hidden, and needed":             {shown("true"), "", "2", nil, one, gpuC + " cpu", "taken to hold"},
		"hidden, on the only one":        {oneGPU, "cuda", none, nil, maybe, gpuA + " cpu", "the only one of this host"},
		"hidden, on another maker's":     {oneGPU, "npu", none, nil, maybe, "", "nor one that came of it"},
		"the driver failed":              {shown("exit 9"), "", none, nil, maybe, "", "nvidia-smi"},
		"no GPU":                         {func(t *testing.T) { program(t, "true") }, "", none, nil, maybe, "cpu", ""},
		"no driver":                      {withoutDriver, "", none, nil, maybe, "cpu", ""},
		"no driver, said to be CUDA":     {withoutDriver, "cuda", "0", nil, maybe, "", "no NVIDIA GPU is found here"},
		"no driver, and needed":          {withoutDriver, "", "0", nil, one, "", "no NVIDIA GPU is found here"},
		"no driver, the server on CUDA":  {withoutDriver, "", none, sdk.Table{"device": "cuda"}, maybe, "", "no NVIDIA GPU is found here"},
		"a driver, and not its programs": {func(t *testing.T) { t.Setenv("PATH", t.TempDir()); kernelDrivers = append(kernelDrivers, "/proc/self") }, "", none, nil, maybe, "", "nvidia-smi"},
	} {
		t.Run(name, func(t *testing.T) {
			before := kernelDrivers
			defer func() { kernelDrivers = before }()
			c.driver(t)
			t.Setenv(visibleKey, c.visible)
			if c.visible == none {
				os.Unsetenv(visibleKey)
			}
			e := testEngine()
			e.Parameters = append(e.Parameters, Flag("--device", sdk.Text(deviceKey)))
			e.Devices = func(sdk.Cell) []sdk.DeviceNeed { return []sdk.DeviceNeed{c.need} }
			cell := testCell(sdk.Table{"mode": "attach", "url": first.server.URL})
			if c.said != "" {
				cell.Parameters[deviceKey] = c.said
			}
			for _, d := range e.judge(cell, sdk.DepthStatic).Diagnostics {
				t.Errorf("Check: %+v", d)
			}
			b := Backend(e).(*backend)
			b.connect(first.server.URL)
			report := sdk.LoadReport{Resolved: sdk.Table{}}
			for key, value := range c.told {
				report.Resolved[key] = value
			}
			err := b.findAttached(t.Context(), sdk.LoadRequest{Cell: cell}, &report)
			if c.want == "" {
				var e *sdk.Error
				if !errors.As(err, &e) || e.Code != sdk.DeviceMissing || e.KeyPath != deviceKey || !strings.Contains(err.Error(), c.says) || !strings.Contains(e.Advice, visibleKey) {
					t.Errorf("devices %v, error %v", names(report.Devices), err)
				}
				return
			}
			if got := names(report.Devices); err != nil || !slices.Equal(got, strings.Fields(c.want)) {
				t.Fatalf("devices %v, error %v", got, err)
			}
			wantDevice := map[bool]string{true: "cuda", false: "cpu"}[c.want != "cpu"]
			if report.Resolved[deviceKey] != wantDevice {
				t.Errorf("device %v, read back", report.Resolved[deviceKey])
			}
			for _, d := range report.Devices {
				if !slices.Contains(first.process.family.Look(), int(d.PID)) || d.Kind == "cpu" && int(d.PID) != first.process.pid() {
					t.Errorf("device %+v is not of the server's processes", d)
				}
			}
			if w := report.Warnings; len(w) != min(1, len(c.says)) || c.says != "" && (w[0].Code != "devices_assumed" || !strings.Contains(w[0].Message, c.says)) {
				t.Errorf("warnings %v", w)
			}
		})
	}
}

// The whole way: an engine without a device of its own has the kit's.
func TestALoadOfAnAttachedServerNamesItsDevices(t *testing.T) {
	first := load(t, sdk.Table{}, nil)
	if first.err != nil {
		t.Fatal(first.err)
	}
	driver(t, "true")
	e := testEngine()
	e.Devices = func(sdk.Cell) []sdk.DeviceNeed { return []sdk.DeviceNeed{{Kind: "gpu", Max: 16}} }
	for _, c := range []struct {
		said string
		fine bool
	}{{"", false}, {"cpu", true}} {
		cell := testCell(sdk.Table{"mode": "attach", "url": first.server.URL})
		if c.said != "" {
			cell.Parameters[deviceKey] = c.said
		}
		b := Backend(e)
		report, err := b.Load(t.Context(), sdk.LoadRequest{Cell: cell}, sdk.NewProgress(func(sdk.StageEvent) {}))
		if (err == nil) != c.fine || c.fine && (names(report.Devices)[0] != "cpu" || report.Resolved[deviceKey] != "cpu") {
			t.Errorf("%q: %+v, error %v", c.said, report, err)
		}
		if err := b.Unload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	started := e.judge(testCell(sdk.Table{deviceKey: "cpu"}), sdk.DepthStatic).Diagnostics
	if len(started) != 1 || started[0].Severity != sdk.SeverityDormant || started[0].KeyPath != deviceKey {
		t.Errorf("in a study that starts its server: %+v", started)
	}
}

// What is not on this host holds none of its GPUs unless the study says so.
func TestAServerElsewhere(t *testing.T) {
	driver(t, "true")
	find := func(said, visible string) (report sdk.LoadReport, err error) {
		t.Setenv(visibleKey, visible)
		e := testEngine()
		e.Devices = func(sdk.Cell) []sdk.DeviceNeed { return []sdk.DeviceNeed{{Kind: "gpu", Max: 1}} }
		b := Backend(e).(*backend)
		b.connect("http://127.0.0.1:1") // where nobody answers
		report.Resolved = sdk.Table{}
		return report, b.findAttached(t.Context(), sdk.LoadRequest{Cell: testCell(sdk.Table{deviceKey: said})}, &report)
	}
	if report, err := find("", "0"); !errors.Is(err, sdk.DeviceMissing) || !strings.Contains(err.Error(), "does not answer any more") {
		t.Errorf("%v, error %v", names(report.Devices), err)
	}
	for said, want := range map[string]string{"cpu": "cpu", "cuda": gpuA + " cpu"} {
		report, err := find(said, "0")
		if err != nil || strings.Join(names(report.Devices), " ") != want || len(report.Warnings) != 1 || report.Warnings[0].Code != "devices_assumed" {
			t.Errorf("%s: %+v, error %v", said, report, err)
		}
	}
}

func TestWhoListens(t *testing.T) {
	for _, c := range []struct{ listen, ask string }{
		{"127.0.0.1:0", "127.0.0.1"}, {"127.0.0.1:0", "localhost"}, {"[::1]:0", "[::1]"}, {":0", "127.0.0.1"}, {":0", "[::1]"}, {"0.0.0.0:0", "127.0.0.1"},
	} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		at, own, err := reached(t.Context(), "http://"+c.ask+":"+port)
		if err != nil {
			t.Fatal(err)
		}
		fronts, family, sockets := listeners(at)
		if !own || sockets != 1 || !slices.Equal(fronts, []int{os.Getpid()}) || !slices.Contains(family, os.Getpid()) {
			t.Errorf("%+v: %v of %v, %d sockets, of this host: %v", c, fronts, family, sockets, own)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, family, sockets := listeners(at); len(family) != 0 || sockets != 0 {
			t.Errorf("%+v, closed: %v, %d sockets", c, family, sockets)
		}
	}
}

// Of two servers at one port the one that is bound closer is meant.
func TestWhoListensAtAnAddressOfItsOwn(t *testing.T) {
	all, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	_, port, _ := net.SplitHostPort(all.Addr().String())
	number, _ := strconv.Atoi(port)
	six, err := net.Listen("tcp6", "[::1]:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer six.Close()
	four, v6 := listening(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number}), listening(&net.TCPAddr{IP: net.IPv6loopback, Port: number})
	if len(four) != 1 || len(v6) != 1 || four[0] == v6[0] {
		t.Errorf("IPv4 %v, IPv6 %v", four, v6)
	}
	if other := listening(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number + 1}); len(other) != 0 {
		t.Errorf("the next port: %v", other)
	}
}

// A process of which this one came, such as a manager of sockets, is not the server,
// nor are its other children.
func TestALauncherIsNotTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleeper.Wait() }()
	defer func() { _ = sleeper.Process.Kill() }()
	driver(t, "echo '"+gpuB+", "+strconv.Itoa(sleeper.Process.Pid)+"'")
	e := testEngine()
	e.Devices = func(sdk.Cell) []sdk.DeviceNeed { return []sdk.DeviceNeed{{Kind: "gpu", Max: 1}} }
	b := Backend(e).(*backend)
	b.connect("http://" + l.Addr().String())
	report := sdk.LoadReport{Resolved: sdk.Table{}}
	err = b.findAttached(t.Context(), sdk.LoadRequest{Cell: testCell(nil)}, &report)
	if !errors.Is(err, sdk.DeviceMissing) || !strings.Contains(err.Error(), "llem itself came of") {
		t.Errorf("devices %v, error %v", names(report.Devices), err)
	}
}

func TestADriverThatDoesNotAnswer(t *testing.T) {
	program(t, "exec sleep 60")
	begin := time.Now()
	_, err := installedGPUs(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no answer in 5s") || time.Since(begin) > 4*smiWait {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
}
