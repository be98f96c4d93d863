package openaiserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"unicode"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
	"github.com/llenergymeasure/llem/sdk/serve"
)

const defaultMaxCancelMs = 5000

// Backend makes a backend of an engine.
func Backend(e Engine) sdk.Backend {
	if e.MaxCancelMs == 0 {
		e.MaxCancelMs = defaultMaxCancelMs
	}
	return &backend{engine: e}
}

// backend serves one load.
type backend struct {
	engine    Engine
	settings  sdk.Table
	apiKey    string
	process   *process // nil if none was started here
	server    *Server
	alias     string // an attached server's name of its model, if it is not the study's
	generator *loadgen.Generator
	report    loadgen.Report // of the last Run
	counted   *sdk.Counters  // since then, where Engine.Count reads them
	notes     []sdk.Warning  // of its counters, for the next one
}

// Describe implements sdk.Backend.
func (b *backend) Describe() sdk.Description {
	return sdk.Description{
		Name: b.engine.Name, Version: b.engine.Version, Doc: b.engine.Doc, Parameters: b.engine.schema(), Abilities: b.engine.abilities(),
	}
}

func (e *Engine) abilities() sdk.Abilities {
	return sdk.Abilities{
		Loops: []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed, sdk.LoopOpen},
		// A pass ends when the last answer has ended, and the engine has
		// nothing else to do.
		Edge: sdk.EdgeQuiesced, MaxCancelMs: e.MaxCancelMs,
	}
}

// Load implements sdk.Backend.
func (b *backend) Load(ctx context.Context, req sdk.LoadRequest, progress *sdk.Progress) (report sdk.LoadReport, err error) {
	b.settings = b.engine.settings(req.Cell.Parameters)
	if b.apiKey = req.Secrets[apiKeyKey]; strings.ContainsFunc(b.apiKey, unicode.IsControl) {
		return report, &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: apiKeyKey, Message: "it holds a line break or another control character", Advice: "look for one at its end"}
	}
	digest := b.startDigest(ctx, req.Cell.Model)
	// A server that did not become ready is ended by Unload.
	if attached(b.settings) {
		err = b.attach(ctx, req.Cell)
	} else {
		err = b.start(ctx, req, progress)
	}
	if err != nil {
		return report, err
	}
	report = sdk.LoadReport{Engine: b.engine.Name, Resolved: sdk.Table{}, Edge: sdk.EdgeQuiesced, MaxCancelMs: b.engine.MaxCancelMs}
	b.fill(&report, req)
	b.server.Workload = req.Cell.Workload
	if b.process != nil {
		b.server.Log = b.process.log.tail()
	}
	if b.engine.Count != nil {
		if _, err := b.count(ctx); err != nil {
			return report, err
		}
		report.Warnings, b.notes = append(report.Warnings, b.notes...), nil
	}
	if b.engine.ReadBack != nil {
		if err := b.engine.ReadBack(ctx, b.server, &report); err != nil {
			return report, &sdk.Error{Code: sdk.Internal, Phase: "read the server's configuration back", Message: b.hide(err.Error())}
		}
	}
	b.identify(&report, req.Cell.Model, digest())
	switch {
	case b.process != nil:
		b.findGPUs(ctx, req, &report)
	case b.engine.Devices != nil:
		err = b.findAttached(ctx, req, &report)
	}
	return report, err
}

// fill tells what is known without asking the server.
func (b *backend) fill(report *sdk.LoadReport, req sdk.LoadRequest) {
	report.Model.RandomWeights = req.Cell.Model.Weights == sdk.WeightsDummy
	report.Model.Revision = req.Cell.Model.Revision
	report.Model.Base = modelOf(req.Cell)
	readShape(&report.Model, report.Model.Base)
	if b.process == nil {
		report.Resolved[modeKey] = modeAttach
		report.Resolved[urlKey] = b.server.URL
		for _, p := range b.engine.table() { // what the kit itself goes by
			if value, ok := b.settings[p.Key]; ok && p.form == formOwn && p.Key != deviceKey {
				report.Resolved[p.Key] = value
			}
		}
		message := "the server was running before: its parameters are what it says of itself, and its start was not seen"
		if b.alias != "" {
			message += fmt.Sprintf("; it calls its model %s, and the result calls it %s as the study does: nothing shows that they are one", b.alias, report.Model.Base)
		}
		report.Warnings = append(report.Warnings, sdk.Warning{Code: "attached", KeyPath: modeKey, Message: message})
		return
	}
	for key, value := range b.settings {
		report.Resolved[key] = value
	}
	report.Devices = gpuUses(req.DeviceIDs, int64(b.server.PID))
	if _, digest, ok := strings.Cut(b.settings.String(containerKey, ""), "@"); ok {
		report.ImageDigest = digest
	}
	if len(req.DeviceIDs) == 0 {
		report.Devices = []sdk.DeviceUse{{ID: "cpu", Kind: "cpu", PID: int64(b.server.PID)}}
	}
}

// portTries is how often a server is started anew because another process took
// its port between the look and the bind.
const portTries = 3

func (b *backend) start(ctx context.Context, req sdk.LoadRequest, progress *sdk.Progress) error {
	built, err := b.build(ctx, req, progress)
	if err != nil {
		return err
	}
	end := progress.Begin(sdk.StageStart, "start the server")
	defer end()
	for try := 1; ; try++ {
		err := b.startOnce(ctx, req, built, progress)
		if err == nil || b.process == nil || !b.process.dead() || try == portTries || !b.portWasTaken() {
			return err
		}
		// Its own words said so; nothing but the port is tried anew.
		serve.Logger().Warn("the server's port was taken meanwhile; another one is tried", "port", b.process.port)
		if err := b.process.stop(ctx); err != nil {
			return err
		}
	}
}

func (b *backend) portWasTaken() bool {
	for _, line := range b.process.log.tail() {
		if portTaken.MatchString(line) {
			return true
		}
	}
	return false
}

func (b *backend) startOnce(ctx context.Context, req sdk.LoadRequest, built string, progress *sdk.Progress) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	box, err := newContainer(b.settings)
	if err != nil {
		return err
	}
	argv, env, err := b.engine.commandLine(Launch{Request: req, Settings: b.settings, Built: built, Host: loopback, Port: port}, box)
	if err != nil {
		return err
	}
	found := newStages(b.engine.Stages, progress)
	defer found.close()
	if b.process, err = startProcess(argv, env, req.WorkDir, port, box, found.tell); err != nil {
		return missing(argv[0], err)
	}
	b.connect("http://" + net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err := b.awaitReady(ctx); err != nil {
		return err
	}
	if box != nil {
		if b.server.PID, err = box.pid(ctx); err != nil {
			return b.blame(ctx, "ask for the container's process", err)
		}
	}
	found.close()
	return b.ready(ctx, "")
}

// commandLine is all that starts a server; box is nil without a container.
func (e *Engine) commandLine(l Launch, box *container) (argv, env []string, err error) {
	argv, err = e.Command(l)
	if err != nil {
		return nil, nil, err
	}
	args, env, err := arguments(e.Parameters, l.Settings)
	if err != nil {
		return nil, nil, err
	}
	if e.Env != nil {
		env = append(e.Env(l), env...)
	}
	env = append(env, visible(l.Request)...)
	argv = append(argv, args...)
	if box != nil {
		return box.argv(l, argv, env), nil, nil
	}
	return argv, env, nil
}

// visible are the devices that a process may use.
func visible(req sdk.LoadRequest) []string {
	if len(req.DeviceIDs) == 0 {
		return nil
	}
	return []string{visibleKey + "=" + strings.Join(req.DeviceIDs, ",")}
}

func missing(program string, err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrPermission) {
		return &sdk.Error{Code: sdk.EngineMissing, Phase: "start the server", Message: err.Error(), Advice: fmt.Sprintf("install the engine, or name a program that is there instead of %s", program)}
	}
	return err
}

func (b *backend) connect(url string) {
	b.server = &Server{URL: url, Settings: b.settings, client: newClient(), apiKey: b.apiKey}
	if b.process != nil {
		b.server.PID = b.process.pid()
	}
}

// ready makes the generator and tries the server out. wanted is the study's model of a
// server that others started; "" = whatever it has.
func (b *backend) ready(ctx context.Context, wanted string) (err error) {
	name, err := b.modelName(ctx, wanted)
	var e *sdk.Error
	switch {
	case errors.As(err, &e):
		return e
	case forbidden(err):
		return b.wrongKey(err)
	case err != nil:
		return b.blame(ctx, "ask for the model's name", err)
	}
	dialect := b.engine.Dialect
	if b.engine.Speak != nil {
		dialect = b.engine.Speak(dialect, b.settings)
	}
	if b.generator, err = loadgen.New(ctx, loadgen.Options{URL: b.server.URL, Model: name, APIKey: b.apiKey, Dialect: dialect}); err != nil {
		return err
	}
	return b.tryOut(ctx)
}

// modelName is what the server calls the model; "" where it has no list. One that was
// started here has one model, whatever its names.
func (b *backend) modelName(ctx context.Context, wanted string) (string, error) {
	var list struct {
		Data []struct{ ID, Root string }
	}
	err := b.server.GetJSON(ctx, "/v1/models", &list)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound {
		return "", nil
	}
	if err != nil || len(list.Data) == 0 {
		return "", err
	}
	if wanted == "" {
		return list.Data[0].ID, nil
	}
	var names []string
	for _, model := range list.Data {
		if model.ID == wanted || model.Root == wanted {
			return model.ID, nil
		}
		names = append(names, model.ID)
	}
	if len(names) > 1 {
		return "", &sdk.Error{
			Code: sdk.ModelMissing, KeyPath: "model.id", Phase: "ask for the model's name",
			Message: fmt.Sprintf("the server has %s, and none of them is called %s", strings.Join(names, ", "), wanted), Advice: "name the one that is meant",
		}
	}
	b.alias = names[0]
	return names[0], nil
}

// exited is closed when a server that was started here has ended.
func (b *backend) exited() <-chan struct{} {
	if b.process == nil {
		return nil
	}
	return b.process.exited
}

// Unload implements sdk.Backend.
func (b *backend) Unload(ctx context.Context) error {
	p := b.process
	if p == nil {
		return nil
	}
	b.process = nil
	return p.stop(ctx)
}
