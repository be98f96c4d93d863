package measure

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

// uncovered says what the opened sources see, where that is not what the cell uses, and
// the next thing to try. gpus are the ids that the backend says it holds.
func (t *trial) uncovered(gpus []string) string {
	var kinds, seen, replayed []string
	for _, source := range t.recorder.sources {
		again := slices.ContainsFunc(source.said, func(w energy.Warning) bool { return w.Code == energy.CodeReplayed })
		for _, d := range source.domains {
			kinds = append(kinds, d.Kind)
			if d.Kind != energy.KindGPU && d.Kind != energy.KindModule {
				continue
			}
			seen = append(seen, d.DeviceIDs...)
			if again {
				replayed = append(replayed, source.Name)
			}
		}
	}
	kinds, seen = sorted(kinds), sorted(seen)
	switch {
	case len(kinds) == 0:
		return "no energy source is open: name one in `energy`; `llem config doctor` tries each on this machine"
	case len(gpus) > 0 && len(replayed) > 0:
		list := quoted(gpus)
		return fmt.Sprintf("the sources see the GPUs %s; to play a recorded GPU in the place of one that the backend holds, set `devices = [%s]` in [sources.%s]",
			strings.Join(seen, ", "), list, sorted(replayed)[0])
	case len(gpus) > 0 && len(seen) > 0:
		return fmt.Sprintf("the sources see the GPUs %s; the ids must be the same: choose one of these for the backend ([gpu] devices), or a source that sees the backend's", strings.Join(seen, ", "))
	case len(gpus) > 0:
		return fmt.Sprintf("the sources see only %s; add one that sees GPUs to `energy` (\"nvml\" for NVIDIA's); `llem config doctor` tries each", strings.Join(kinds, ", "))
	case len(seen) > 0:
		return fmt.Sprintf("the sources see %s, and the backend says that it holds no GPU: if the engine uses one, let the backend say so; otherwise add a source of the CPU to `energy` (\"rapl\", or \"hostpower\" for an estimate)", strings.Join(kinds, ", "))
	}
	return fmt.Sprintf("the sources see only %s; add one of the CPU to `energy` (\"rapl\", or \"hostpower\" for an estimate); `llem config doctor` tries each", strings.Join(kinds, ", "))
}

// domainErrors says why a window has no joules, and the next thing to try: what a source
// says of its own end, its log, or the doctor.
func domainErrors(w result.Window, r *recorder) string {
	var causes []string
	next := "`llem config doctor` tries the energy sources, and docs/gates.md explains the codes"
	for _, warning := range w.Warnings {
		if warning.Code == codeNoEnergy {
			causes = append(causes, warning.Message)
		}
	}
	for _, d := range w.Domains {
		if d.Error == "" {
			continue
		}
		causes = append(causes, d.Error)
		if err := r.failure(d.Source); err != nil {
			causes = append(causes, fmt.Sprintf("source %s stopped: %v", d.Source, err))
			next = "the log.txt of the attempt has its last lines"
		}
		for _, doubt := range r.doubts() {
			if doubt.Code == codeSourceStuck && doubt.Domain == d.DomainID {
				causes = append(causes, doubt.Message)
				next = "run again; if it happens again, the log.txt of the attempt may say why"
			}
		}
	}
	return strings.Join(append(causes, next), "; ")
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return strings.Join(out, ", ")
}
