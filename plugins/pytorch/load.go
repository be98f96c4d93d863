package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/plugins/pytorch/internal/worker"
	"github.com/llenergymeasure/llem/sdk"
)

// loadPatience is how long a cancelled load may go on: nothing in it can be
// broken off, so the worker is killed almost at once.
const loadPatience = 100 * time.Millisecond

// Load implements sdk.Backend.
func (b *backend) Load(ctx context.Context, req sdk.LoadRequest, progress *sdk.Progress) (sdk.LoadReport, error) {
	s, found := settle(req.Cell)
	s.look(&found)
	if err := found.first(); err != nil {
		return sdk.LoadReport{}, asModelMissing(err)
	}
	python, err := findPython(s.parameters.String("python", ""))
	if err != nil {
		return sdk.LoadReport{}, err
	}
	digest := s.startDigest(ctx)
	b.workers, err = worker.StartGroup(worker.Command{
		Python: python, Dir: req.WorkDir, Env: s.workerEnv(req.DeviceIDs), Log: os.Stderr,
	}, s.ranks())
	if err != nil {
		return sdk.LoadReport{}, &sdk.Error{Code: sdk.EngineMissing, KeyPath: "python", Message: err.Error()}
	}
	answers := make([]loaded, s.ranks())
	stages := newStages(progress)
	b.continuous = s.continuous()
	_, err = b.workers.Call(ctx, "load", s.arguments(req.Cell), nil, loadPatience, pointers(answers), stages.tell)
	stages.close()
	if err != nil {
		return sdk.LoadReport{}, s.explain(err)
	}
	sum, err := digest()
	if err != nil {
		return sdk.LoadReport{}, err
	}
	return s.report(ofRanks(answers), python, sum), nil
}

// asModelMissing gives the findings about the model's directory their code.
func asModelMissing(err error) error {
	var e *sdk.Error
	if errors.As(err, &e) && e.KeyPath == "model.path" {
		e.Code = sdk.ModelMissing
	}
	return err
}

// workerEnv shows the worker the devices that it may use, and keeps progress
// bars out of the log.
func (s *settings) workerEnv(deviceIDs []string) []string {
	env := []string{"HF_HUB_DISABLE_PROGRESS_BARS=1", "TOKENIZERS_PARALLELISM=false"}
	switch {
	case s.ranks() > 1 && s.parameters.String("device", "") == "cpu":
		// transformers splits a model over GPUs wherever it sees one.
		env = append(env, "CUDA_VISIBLE_DEVICES=")
	case len(deviceIDs) > 0:
		env = append(env, "CUDA_VISIBLE_DEVICES="+strings.Join(deviceIDs, ","))
	}
	return env
}

// arguments are those of the worker's load.
func (s *settings) arguments(cell sdk.Cell) map[string]any {
	model := map[string]any{
		"random": s.random(), "seed": weightSeed, "name": s.name(), "revision": s.model.Revision, "local": s.model.Path != "",
	}
	if s.config != nil {
		model["config"] = s.config
	}
	arguments := map[string]any{"model": model, "parameters": withTypes(s.parameters)}
	if s.continuous() {
		arguments["serve"] = map[string]any{"sampling": newSampling(cell.Workload.Sampling), "most": cpuRoom(cell)}
	}
	return arguments
}

// withTypes keeps whole floats apart from integers, which JSON does not and
// arguments of transformers do.
func withTypes(value any) any {
	switch v := value.(type) {
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return json.RawMessage(text)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = withTypes(v[i])
		}
		return list
	case sdk.Table:
		table := make(map[string]any, len(v))
		for key := range v {
			table[key] = withTypes(v[key])
		}
		return table
	}
	return value
}

// explain adds what the worker cannot know to its errors.
func (s *settings) explain(err error) error {
	var e *sdk.Error
	if errors.As(err, &e) && e.KeyPath == "model.path" && s.model.Path == "" {
		e.KeyPath = "model.id"
	}
	return err
}

// stages passes on the stages of a load and ends those that an error leaves
// open.
type stages struct {
	progress *sdk.Progress
	open     []openStage
}

type openStage struct {
	kind sdk.StageKind
	end  func()
}

func newStages(progress *sdk.Progress) *stages { return &stages{progress: progress} }

func (s *stages) tell(event worker.Event) {
	stage, ok := event.Stage()
	if !ok {
		return
	}
	switch stage.Moment {
	case sdk.StageBegin:
		s.open = append(s.open, openStage{stage.Kind, s.progress.Begin(stage.Kind, stage.Message)})
	case sdk.StageEnd:
		for i := len(s.open) - 1; i >= 0; i-- {
			if s.open[i].kind == stage.Kind {
				s.open[i].end()
				s.open = append(s.open[:i], s.open[i+1:]...)
				return
			}
		}
	}
}

func (s *stages) close() {
	for _, open := range s.open {
		open.end()
	}
	s.open = nil
}
