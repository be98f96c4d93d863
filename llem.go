// Package llem measures the energy and the speed of LLM inference
// deployments: the library behind the command of the same name.
//
// A study holds model and workload constant and varies the deployment. Load
// one with core/study, run it with RunStudy, and find energy per output token
// (J/token) and output tokens/s with their intervals in the StudyResult. The
// tour of the parts is in core/doc.go.
package llem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
)

// Version of the core.
const Version = "0.1.0"

// Settings are machine-local: where plugins, caches and results lie, and who
// is told what goes on. The zero value works.
type Settings struct {
	// PluginDirs are searched before all others.
	PluginDirs []string
	// ResultsDir is where result directories are made; empty means "results".
	ResultsDir string
	// User is the user's configuration; zero means none.
	User study.UserConfig
	// Created is told the result directory once it is made, if set.
	Created func(dir string)
	// Progress is told what goes on, if set; never inside a measured window.
	Progress func(measure.Progress)
	// Stall bounds the time without progress in a Run; 0 means two minutes.
	Stall time.Duration
}

// Study is what RunStudy runs.
type Study struct {
	Spec *study.Study
	Settings
}

// StudyResult is what a study left in its directory.
type StudyResult struct {
	Dir     string
	Outcome measure.Outcome
	// Trials that succeeded, Failed ones, and the Interrupted one, in the order of their
	// blocks.
	Trials      []result.Trial
	Failed      []result.Trial
	Interrupted []result.Trial
	// Summary holds the estimates of each cell.
	Summary report.Summary
}

// RunStudy runs every cell of a study in every block and writes the result
// directory. Trials that fail are in the result; the error is about the study
// as a whole. After an interrupt (ctx) what was finished is kept, and the
// result is returned together with ctx's error.
func RunStudy(ctx context.Context, s Study) (StudyResult, error) {
	prepared, err := Prepare(ctx, s)
	if err != nil {
		return StudyResult{}, err
	}
	return prepared.Run(ctx)
}

// Experiment is a study of exactly one cell.
type Experiment struct {
	Spec *study.Study
	Settings
}

// ExperimentResult is the outcome of one cell.
type ExperimentResult struct {
	Dir    string
	Trials []result.Trial
	Failed []result.Trial
	Cell   report.Cell
}

// RunExperiment runs a study that has exactly one cell.
func RunExperiment(ctx context.Context, e Experiment) (ExperimentResult, error) {
	prepared, err := Prepare(ctx, Study(e))
	if err != nil {
		return ExperimentResult{}, err
	}
	if n, _ := prepared.Counts(); n != 1 {
		return ExperimentResult{}, fmt.Errorf("run experiment %s: the study has %d cells and an experiment has one; use RunStudy", e.Spec.Name, n)
	}
	r, err := prepared.Run(ctx)
	out := ExperimentResult{Dir: r.Dir, Trials: r.Trials, Failed: r.Failed}
	for _, cell := range r.Summary.Cells {
		out.Cell = cell
	}
	return out, err
}

// Run measures a prepared study. Before the first load each plugin looks at
// this machine once more, secrets are read, and the lock is written.
func (p *Prepared) Run(ctx context.Context) (StudyResult, error) {
	if err := p.checkEnvironment(ctx); ctx.Err() != nil {
		return StudyResult{}, ctx.Err() // whatever failed, failed of that
	} else if err != nil {
		return StudyResult{}, err
	}
	secrets, err := p.resolveSecrets()
	if err != nil {
		return StudyResult{}, err
	}
	lock, err := p.keepLock(p.pluginNames())
	if err != nil {
		return StudyResult{}, err
	}
	dir, err := p.createDir(ctx, lock.Text())
	if err != nil {
		return StudyResult{}, err
	}
	if p.Created != nil {
		p.Created(dir.Path())
	}
	outcome, runErr := measure.Run(ctx, measure.Options{
		Study: p.Spec, Plan: p.Plan, Cells: p.Cells, Checks: p.Checks,
		Opener: &opener{prepared: p, secrets: secrets.sources, dir: dir, locked: p.pluginNames()}, Dir: dir, CacheDir: p.cacheDir("plugins"),
		Secrets: secrets.backends, CoreVersion: Version, Stall: p.Stall, Progress: p.Progress,
	})
	if runErr != nil {
		// Of a study that could not begin, as without its sensors, nothing is left.
		if gone, err := dir.DiscardEmpty(); gone || err != nil {
			return StudyResult{Outcome: outcome}, errors.Join(runErr, err)
		}
	}
	r := StudyResult{Dir: dir.Path(), Outcome: outcome}
	readErr := r.read(dir, p.User)
	return r, errors.Join(runErr, readErr)
}

// createDir makes the result directory with everything that is known before
// the first trial.
func (p *Prepared) createDir(ctx context.Context, lock []byte) (*result.Dir, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("ask for the host's name: %w", err)
	}
	root := p.ResultsDir
	if root == "" {
		root = "results"
	}
	dir, err := result.Create(root, p.Spec.Name, time.Now())
	if err != nil {
		return nil, err
	}
	return dir, errors.Join(
		dir.WriteStudy(p.Spec.Text),
		dir.WritePlan(p.Plan.Round, p.Plan),
		dir.WriteLock(lock),
		dir.WriteFactors(report.FactorsOf(p.User).Stored()),
		dir.WriteEnvironment(host, environ.Snapshot(ctx)),
	)
}
