package openaiserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Keys of an engine that runs from images, too.
const (
	containerKey = "container"
	runtimeKey   = "container_runtime"
	docker       = "docker"
	podman       = "podman"
)

func containerParameters() []Parameter {
	return []Parameter{
		Own(sdk.Text(containerKey).
			Doc("Image to run the engine from, by digest: name@sha256:... Unset: no container.")),
		Own(sdk.Text(runtimeKey).OneOf(docker, podman).For(sdk.RoleMachine).
			Doc("What runs the image. Unset: docker if it is there, else podman.")),
	}
}

// InContainer tells whether the server runs from an image. Its command line is then
// one of the image's.
func (l Launch) InContainer() bool { return l.Settings.String(containerKey, "") != "" }

// container is one that a load started.
type container struct{ runtime, name string }

// A tag names another image tomorrow; a digest never does.
var byDigest = regexp.MustCompile(`^[^\s@]+@sha256:[0-9a-f]{64}$`)

func checkImage(image string) error {
	if image == "" || byDigest.MatchString(image) {
		return nil
	}
	return &sdk.Error{
		Code: sdk.UnsupportedParameter, KeyPath: containerKey, Message: fmt.Sprintf("%q does not name an image by its digest", image),
		Advice: "write name@sha256:..., as `docker images --digests` or `podman images --digests` show it",
	}
}

// containerRuntime finds the program that runs images.
func containerRuntime(settings sdk.Table) (string, error) {
	names := []string{docker, podman}
	if wanted := settings.String(runtimeKey, ""); wanted != "" {
		names = []string{wanted}
	}
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			return name, nil
		}
	}
	return "", &sdk.Error{
		Code: sdk.EngineMissing, Phase: "start the server", KeyPath: containerKey,
		Message: "no " + strings.Join(names, " and no ") + " in PATH to run the image with",
		Advice:  "install one, or leave container out and use the engine of an environment",
	}
}

// supervise runs the engine in its container. The container ends when the engine
// does, and also when standard input does, which this process holds: who kills it
// kills no daemon's container, and that would keep the GPU's memory. It is told by a
// signal that nobody ignores: no shell traps the hangup that nohup ignores.
const supervise = `exec 3<&0
"$@" </dev/null 3<&- &
engine=$!
trap 'kill -TERM $engine 2>/dev/null' INT TERM
trap 'exit 137' USR1
{ cat <&3 >/dev/null; kill -USR1 $$; } &
while :; do
  wait $engine
  status=$?
  kill -0 $engine 2>/dev/null || exit $status
done`

// passed are variables of the hub's own chain. They are told by name alone: a value
// would stand in the list of processes.
var passed = []string{"HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

// argv runs a command line of the image. Paths are the same inside and outside.
func (c container) argv(l Launch, inside, env []string) []string {
	argv := []string{
		c.runtime, "run", "--rm", "--interactive", "--name", c.name,
		"--network", "host", // the port of the loopback interface
		"--ipc", "host", // shared memory between the ranks
	}
	if ids := l.Request.DeviceIDs; len(ids) > 0 && c.runtime == docker {
		argv = append(argv, "--gpus", `"device=`+strings.Join(ids, ",")+`"`) // the quotes keep the list one value
	} else {
		for _, id := range ids {
			argv = append(argv, "--device", "nvidia.com/gpu="+id)
		}
	}
	mount := func(path, mode string) {
		if path != "" {
			argv = append(argv, "--volume", path+":"+path+mode)
		}
	}
	// What root writes inside, its owner outside could not remove.
	mount(l.Request.WorkDir, ":ro")
	if path := l.Request.Cell.Model.Path; path != "" {
		absolute, err := filepath.Abs(path)
		if err != nil {
			absolute = path
		}
		mount(absolute, ":ro")
	}
	cache := hubCache()
	mount(cache, "")
	env = append(slices.Clone(env), "HF_HOME="+cache)
	for _, variable := range env {
		argv = append(argv, "--env", variable)
	}
	argv = append(argv, "--env", markName)
	for _, name := range passed {
		if os.Getenv(name) != "" {
			argv = append(argv, "--env", name)
		}
	}
	argv = append(argv, "--entrypoint", "/bin/sh", l.Settings.String(containerKey, ""), "-c", supervise, "sh")
	return append(argv, inside...)
}

// hubCache is where models of the hub are.
func hubCache() string {
	if dir := os.Getenv("HF_HOME"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "/root"
	}
	return filepath.Join(home, ".cache", "huggingface")
}

func newContainer(settings sdk.Table) (*container, error) {
	image := settings.String(containerKey, "")
	if image == "" {
		return nil, nil
	}
	if err := checkImage(image); err != nil {
		return nil, err
	}
	runtime, err := containerRuntime(settings)
	if err != nil {
		return nil, err
	}
	return &container{runtime: runtime, name: "llem-" + strings.ToLower(rand.Text())}, nil
}

// containerWait bounds a question to the runtime.
const containerWait = 20 * time.Second

// pid is that of the container's first process, whose descendants the engine is.
func (c *container) pid(ctx context.Context) (int, error) {
	text, err := c.ask(ctx, "inspect", "--format", "{{.State.Pid}}", c.name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(text))
}

// remove is for what a killed client left; there is mostly nothing.
func (c *container) remove(ctx context.Context) error {
	_, err := c.ask(context.WithoutCancel(ctx), "rm", "--force", c.name)
	if err != nil && strings.Contains(strings.ToLower(err.Error()), "no such container") {
		return nil
	}
	return err
}

func (c *container) ask(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, containerWait)
	defer cancel()
	var errors bytes.Buffer
	command := exec.CommandContext(ctx, c.runtime, args...)
	command.Stderr = &errors
	text, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", c.runtime, strings.Join(args, " "), err, strings.TrimSpace(errors.String()))
	}
	return string(text), nil
}
