package openaiserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

var testImage = "registry.example/tokens@sha256:" + strings.Repeat("0a", 32)

// containerDouble is what docker looks like to the kit: a client whose containers
// live on without it, with an environment of their own, and end with their first
// process. No image is needed: the command line is the host's.
func containerDouble(args []string) int {
	file := func(name string) string { return filepath.Join(os.Getenv("CONTAINER_DOUBLE"), name) }
	switch args[0] {
	case "inspect":
		text, _ := os.ReadFile(file(args[len(args)-1]))
		fmt.Println(string(text))
	case "rm":
		text, err := os.ReadFile(file(args[len(args)-1]))
		if pid, _ := strconv.Atoi(string(text)); err == nil {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			return 0
		}
		fmt.Fprintln(os.Stderr, "Error response from daemon: No such container: "+args[len(args)-1])
		return 1
	case "run":
		client := exec.Command(os.Args[0], append([]string{"container-double", "daemon"}, args[1:]...)...)
		client.Stdin, client.Stdout, client.Stderr = os.Stdin, os.Stdout, os.Stderr
		client.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if client.Start() != nil {
			return 125
		}
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		go func() {
			for s := range signals {
				_ = client.Process.Signal(s)
			}
		}()
		_ = client.Wait()
		return client.ProcessState.ExitCode()
	case "daemon":
		var name, entry string
		env := []string{"PATH=/usr/bin:/bin"}
		at := 1
		for ; strings.HasPrefix(args[at], "--"); at++ {
			switch args[at] {
			case "--rm", "--interactive":
				continue
			case "--name":
				name = args[at+1]
			case "--entrypoint":
				entry = args[at+1]
			case "--env":
				variable := args[at+1]
				if !strings.Contains(variable, "=") {
					variable += "=" + os.Getenv(variable)
				}
				env = append(env, variable)
			}
			at++
		}
		inside := exec.Command(entry, args[at+1:]...)
		inside.Env, inside.Stdin, inside.Stdout, inside.Stderr = env, os.Stdin, os.Stdout, os.Stderr
		inside.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		if inside.Start() != nil {
			return 125
		}
		go func() {
			for s := range signals {
				_ = inside.Process.Signal(s)
			}
		}()
		_ = os.WriteFile(file(name), []byte(strconv.Itoa(inside.Process.Pid)), 0o600)
		_ = inside.Wait()
		_ = syscall.Kill(-inside.Process.Pid, syscall.SIGKILL)
		_ = os.Remove(file(name))
		return inside.ProcessState.ExitCode()
	}
	return 0
}

// withDouble puts a docker in front of PATH, whose containers it returns.
func withDouble(t *testing.T) (containers func() []string) {
	t.Helper()
	bin, state := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("CONTAINER_DOUBLE", state)
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' container-double \"$@\"\n", must(os.Executable()))
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return func() (names []string) {
		for _, entry := range must(os.ReadDir(state)) {
			names = append(names, entry.Name())
		}
		return names
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestAContainer(t *testing.T) {
	signal.Ignore(syscall.SIGHUP) // as under nohup
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
	containers := withDouble(t)
	for _, end := range []string{"in order", "its client is killed", "the plugin is gone"} {
		t.Run(end, func(t *testing.T) {
			l := mustLoad(t, sdk.Table{"container": testImage, "threads": int64(3)})
			p := l.process
			if !strings.HasSuffix(testImage, l.report.ImageDigest) || l.report.ImageDigest == "" || len(containers()) != 1 {
				t.Errorf("digest %q, containers %v", l.report.ImageDigest, containers())
			}
			inside := int(l.report.Devices[0].PID)
			environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", inside))
			if err != nil || inside == p.pid() || !strings.Contains(string(environ), "\x00TOKENS_TEST_THREADS=3\x00") || strings.Contains(string(environ), "\x00HOME=") {
				t.Errorf("process %d has the environment %q, error %v", inside, environ, err)
			}
			if members := p.family.Look(); !slices.Contains(members, inside) {
				t.Errorf("%d is not among %v", inside, members)
			}
			switch end {
			case "its client is killed":
				if err := syscall.Kill(p.pid(), syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				<-p.exited
			case "the plugin is gone": // then the kernel closes its descriptors
				if err := p.lifeline.Close(); err != nil {
					t.Fatal(err)
				}
				for deadline := time.Now().Add(time.Minute); len(p.family.Look()) > 0; time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("it runs on")
					}
				}
			}
			if unload(t, l); len(containers()) != 0 {
				t.Errorf("containers %v are left", containers())
			}
		})
	}
}

func TestAContainerThatFailsToStart(t *testing.T) {
	withDouble(t)
	l := load(t, sdk.Table{"container": testImage, "behave": "rejects", "max_seqs": int64(7)}, nil)
	var e *sdk.Error
	if !errors.As(l.err, &e) || e.Code != sdk.UnsupportedParameter || e.KeyPath != "max_seqs" || !strings.Contains(e.Message, "exit status 2") {
		t.Errorf("error %+v", l.err)
	}
}

func TestContainerArguments(t *testing.T) {
	t.Setenv("HF_HOME", "/cache")
	t.Setenv("HF_TOKEN", "hf_secret")
	for _, name := range passed[1:] {
		t.Setenv(name, "")
	}
	l := Launch{Settings: sdk.Table{"container": testImage}}
	l.Request.WorkDir, l.Request.Cell.Model.Path, l.Request.DeviceIDs = "/w", "/m", []string{"GPU-1", "GPU-2"}
	for runtime, gpus := range map[string]string{
		docker: `--gpus "device=GPU-1,GPU-2"`, podman: "--device nvidia.com/gpu=GPU-1 --device nvidia.com/gpu=GPU-2",
	} {
		want := runtime + " run --rm --interactive --name n --network host --ipc host " + gpus +
			" --volume /w:/w:ro --volume /m:/m:ro --volume /cache:/cache --env A=1 --env HF_HOME=/cache --env LLEM_SERVER --env HF_TOKEN" +
			" --entrypoint /bin/sh " + testImage + " -c " + supervise + " sh serve --x"
		if got := strings.Join(container{runtime, "n"}.argv(l, []string{"serve", "--x"}, []string{"A=1"}), " "); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestContainersThatCannotBe(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for want, parameters := range map[string]sdk.Table{
		"no docker and no podman in PATH":      {"container": testImage},
		"no podman in PATH":                    {"container": testImage, "container_runtime": "podman"},
		"does not name an image by its digest": {"container": "vllm/vllm-openai:latest"},
	} {
		checks, err := Backend(testEngine()).(sdk.Checker).Check(t.Context(), []sdk.Cell{testCell(parameters)}, sdk.DepthEnvironment)
		if err != nil {
			t.Fatal(err)
		}
		found := checks[0].Diagnostics
		if len(found) != 1 || found[0].Severity != sdk.SeverityError || found[0].KeyPath != "container" || !strings.Contains(found[0].Message, want) || found[0].Advice == "" {
			t.Errorf("%+v, want %s", found, want)
		}
	}
}
