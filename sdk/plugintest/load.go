package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// The rules about loading.
var loadRules = []rule{
	{"Prepare and Run are refused before Load", tooEarly},
	{"Load reports resolved parameters and balanced stages", loads},
	{"a second Load is refused", loadedTwice},
}

func tooEarly(ctx context.Context, s *suite) error {
	return s.with(ctx, sdk.KindBackend, func(p *host.Plugin) error {
		_, err := p.Prepare(ctx, &sdk.Work{Items: []sdk.WorkItem{{TokenIDs: []uint32{1}, MaxTokens: 1}}})
		if err := refused("Prepare before Load", err); err != nil {
			return err
		}
		return refused("Run before Load", p.RunUnchecked(ctx, sdk.RunSpec{
			WorkID: "none", Loop: sdk.LoopBatch, RequestsPerPass: 1, Record: sdk.RecordRequest, MaxPasses: 1,
		}))
	})
}

func loadedTwice(ctx context.Context, s *suite) error {
	e, err := s.loaded(ctx)
	if err != nil {
		return err
	}
	workDir, cacheDir, err := s.dirs()
	if err != nil {
		return err
	}
	_, err = e.Load(ctx, s.request(workDir, cacheDir), nil)
	return refused("a second Load", err)
}

func loads(ctx context.Context, s *suite) error {
	e, err := s.loaded(ctx)
	if err != nil {
		return err
	}
	wrong := append(judgeStages(e), judgeResolved(e.Description().BackendSchema, e.cell.Parameters, e.report.Resolved)...)
	if err := judgeWarnings(e.report.Warnings); err != nil {
		wrong = append(wrong, err)
	}
	if e.report.Engine == "" {
		wrong = append(wrong, errors.New("the report does not name the engine"))
	}
	if edge := e.report.Edge; !slices.Contains([]sdk.EdgeKind{"", sdk.EdgeNone, sdk.EdgeDeviceSync, sdk.EdgeQuiesced}, edge) {
		wrong = append(wrong, fmt.Errorf("the report's edge %q is not one of the contract's", edge))
	}
	return errors.Join(wrong...)
}

// judgeResolved wants every parameter that was given or has a default, with a
// value that the schema admits.
func judgeResolved(schema []sdk.Parameter, given, resolved sdk.Table) []error {
	var wrong []error
	for _, p := range schema {
		value, reported := resolved[p.Key]
		_, wanted := given[p.Key]
		switch {
		case p.Secret && reported:
			wrong = append(wrong, fmt.Errorf("resolved parameters: %s is a secret", p.Key))
		case p.Secret:
		case !reported && (wanted || p.Default != nil):
			wrong = append(wrong, fmt.Errorf("resolved parameters: %s is missing; the report tells every parameter as the engine has it", p.Key))
		case reported:
			for _, d := range sdk.CheckTable([]sdk.Parameter{p}, sdk.Table{p.Key: value}) {
				wrong = append(wrong, fmt.Errorf("resolved parameters: %s: %s", d.KeyPath, d.Message))
			}
		}
	}
	return wrong
}

// stampTolerance is how far stamps of two processes may contradict each other.
const stampTolerance = int64(1e6)

func judgeStages(e *engine) []error {
	var wrong []error
	open := map[sdk.StageKind]int{}
	for _, stage := range e.stages {
		switch stage.Moment {
		case sdk.StageBegin:
			open[stage.Kind]++
		case sdk.StageEnd:
			open[stage.Kind]--
		case sdk.StageProgress:
			if !(stage.Fraction >= 0 && stage.Fraction <= 1) {
				wrong = append(wrong, fmt.Errorf("stage %s is at %v; progress is from 0 to 1", stage.Kind, stage.Fraction))
			}
		default:
			wrong = append(wrong, fmt.Errorf("stage %s has the moment %q, which is not one of the contract's", stage.Kind, stage.Moment))
		}
		if open[stage.Kind] < 0 {
			wrong = append(wrong, fmt.Errorf("stage %s ended and had not begun", stage.Kind))
			open[stage.Kind] = 0
		}
		if stage.MonoNs < e.asked-stampTolerance || stage.MonoNs > e.answered+stampTolerance {
			wrong = append(wrong, fmt.Errorf("a %s of stage %s is stamped outside the Load", stage.Moment, stage.Kind))
		}
	}
	for kind, count := range open {
		if count > 0 {
			wrong = append(wrong, fmt.Errorf("stage %s began and did not end", kind))
		}
	}
	return wrong
}
