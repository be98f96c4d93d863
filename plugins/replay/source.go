package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// source plays one recording.
type source struct {
	path     string
	table    table
	offsetNs int64 // from recorded stamps to this machine's clock
	voices   []*voice

	endsAtOpen bool  // start = "aligned"
	lengthNs   int64 // from the first sample to the last watermark
}

// Values of the parameter start, and the variable without which the second one is
// refused: no window of a study lies in such a recording.
const (
	startNow     = "now"
	startAligned = "aligned"
	alignedEnv   = "LLEM_REPLAY_ALIGNED"
)

func starts() []any {
	if os.Getenv(alignedEnv) == "1" {
		return []any{startNow, startAligned}
	}
	return []any{startNow}
}

// Describe implements sdk.EnergySource.
func (s *source) Describe() sdk.Description {
	return sdk.Description{
		Name: "replay", Version: "0.1.0",
		Doc: "Plays a recorded power trace back in its own time base: a trial's directory, its power.parquet, or a CSV file.",
		Parameters: []sdk.Parameter{
			sdk.Path("path").Must().
				Doc("The recording, from the study file's directory on: a trial's directory (one of DIR/runs/), a power.parquet, or a CSV file (docs/sources.md has its format)."),
			sdk.List("domains", sdk.TypeString).Or([]any{}).For(sdk.RoleMachine).
				Doc("Ids of the recorded domains to play, such as rapl/package-0. Empty means all."),
			sdk.List("devices", sdk.TypeString).Or([]any{}).For(sdk.RoleMachine).
				Doc("Ids of the GPUs that the backend holds, in whose place the recorded ones are played, in the order in which the recording names those. Empty means that they keep their ids."),
			sdk.Text("start").OneOf(starts()...).Or(startNow).For(sdk.RoleMachine).
				Doc("now: the recording begins when the source is opened, and is played as fast as it was recorded. aligned, so that it ends then, would put all of it before a study's first window: it is there only for programs that read a recording through the contract, with " + alignedEnv + "=1 in the environment."),
			sdk.Bool("loop").Or(false).For(sdk.RoleMachine).
				Doc("Begin again at the end, as a sensor that restarted: a window over that moment has no joules. Without it the source stops at the end: it begins again with the next trial, and a window that needs more has no joules."),
		},
	}
}

// Open implements sdk.EnergySource.
func (s *source) Open(ctx context.Context, req sdk.OpenRequest) (_ []sdk.Domain, err error) {
	*s = source{path: req.Parameters.String("path", "")}
	if s.table, err = openTable(s.path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.table.Close())
		}
	}()
	chosen, err := choose(s.path, s.table.recordings(), req.Parameters.List("domains"))
	if err != nil {
		return nil, err
	}
	places, err := newPlaces(s.path, s.table.recordings(), chosen, req.Parameters.List("devices"))
	if err != nil {
		return nil, err
	}
	index, err := newIndex(ctx, s.table)
	if err == nil {
		err = index.enough(chosen)
	}
	if err != nil {
		return nil, bad(s.path, err, "a source needs two samples of a domain, in order: record again, mend the file, or choose other `domains`")
	}
	t := timing{now: sdk.MonoNow(), loop: req.Parameters.Bool("loop", false)}
	t.fromNs, t.toNs = index.span(chosen)
	if s.offsetNs, err = t.offset(s.table.recordings(), chosen, req.Parameters.String("start", startNow)); err != nil {
		return nil, bad(s.path, err, `set start = "now"`)
	}
	lapNs, err := t.lap(index, chosen)
	if err != nil {
		return nil, bad(s.path, err, "set loop = false, or choose a longer recording")
	}
	s.endsAtOpen = req.Parameters.String("start", startNow) == startAligned
	var domains []sdk.Domain
	for _, i := range chosen {
		r, e := s.table.recordings()[i], index.domains[i]
		v := &voice{
			id: r.Domain.ID, troubles: newTroubles(r), offsetNs: s.offsetNs, beginNs: t.fromNs, lapNs: lapNs, lastNs: -1,
			completeNs: r.CompleteUntilNs, epochStep: e.mostEpoch + 1,
			cursor: cursor{table: s.table, domain: int32(i), blocks: e.blocks},
		}
		if v.completeNs == 0 {
			v.completeNs = max(e.lastNs, t.fromNs)
		}
		s.voices = append(s.voices, v)
		s.lengthNs = max(s.lengthNs, v.completeNs-t.fromNs)
		d := r.Domain.contract()
		d.DeviceIDs = places.of(d)
		d.Doc = s.replayedDoc(d.Doc)
		if !slices.ContainsFunc(chosen, func(k int) bool { return s.table.recordings()[k].Domain.ID == d.ContainedIn }) {
			d.ContainedIn = ""
		}
		d.FirstSampleNs = max(0, e.firstNs+s.offsetNs-t.now)
		domains = append(domains, d)
	}
	return domains, nil
}

// OpenWarnings implements sdk.OpenWarner.
func (s *source) OpenWarnings() []sdk.Warning {
	return []sdk.Warning{{Code: sdk.CodeReplayedSource, KeyPath: "path", Message: "the joules are replayed from " + s.path + ", not measured on this machine in this run"}}
}

// replayedDoc says where the values come from, and what their source said.
func (s *source) replayedDoc(doc string) string {
	from := "replayed from " + s.path
	if doc == "" {
		return from
	}
	return from + ": " + doc
}

// choose finds the domains that are named, or all.
func choose(path string, all []recording, named []any) ([]int, error) {
	var ids []string
	for _, r := range all {
		ids = append(ids, r.Domain.ID)
	}
	var chosen []int
	for _, name := range named {
		i := slices.Index(ids, name.(string))
		if i < 0 {
			return nil, &sdk.Error{
				Code: sdk.UnsupportedParameter, KeyPath: "domains",
				Message: fmt.Sprintf("the recording %s has no domain %q", path, name), Advice: "it has " + strings.Join(ids, ", "),
			}
		}
		if !slices.Contains(chosen, i) {
			chosen = append(chosen, i)
		}
	}
	if len(named) == 0 {
		for i := range all {
			chosen = append(chosen, i)
		}
	}
	if len(chosen) == 0 {
		return nil, bad(path, errors.New("it has no domain"), "record again")
	}
	return chosen, nil
}

// broke is an error in the middle of the stream: the file was whole at Open.
func (s *source) broke(err error) error {
	var own *sdk.Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) {
		return err
	}
	return bad(s.path, err, "it was changed while it was played: leave it alone until the study has ended")
}

// Close implements sdk.EnergySource.
func (s *source) Close(context.Context) error { return s.table.Close() }
