package openaiserver

import (
	"strconv"
	"sync"

	"github.com/llenergymeasure/llem/sdk"
)

// stages finds the stages of a load in a server's log.
type stages struct {
	known    []Stage
	progress *sdk.Progress

	mu   sync.Mutex
	open []func() // by index in known; nil = not open
	// percent is what was last told of each: a bar draws itself many times without
	// moving, and each thing told is in the trial's record.
	percent []float64
	over    bool
}

func newStages(known []Stage, progress *sdk.Progress) *stages {
	return &stages{known: known, progress: progress, open: make([]func(), len(known)), percent: make([]float64, len(known))}
}

// tell looks at a line. After close it does nothing.
func (s *stages) tell(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	for i, stage := range s.known {
		switch {
		case s.open[i] == nil && stage.Begin.MatchString(line):
			s.open[i] = s.progress.Begin(stage.Kind, line)
			s.percent[i] = 0
		case s.open[i] != nil && stage.End.MatchString(line):
			s.open[i]()
			s.open[i] = nil
		case s.open[i] != nil && stage.Progress != nil:
			if match := stage.Progress.FindStringSubmatch(line); match != nil {
				if percent, err := strconv.ParseFloat(match[1], 64); err == nil && percent >= 0 && percent <= 100 && percent != s.percent[i] {
					s.percent[i] = percent
					s.progress.Report(stage.Kind, percent/100, line)
				}
			}
		}
	}
}

// close ends what is open.
func (s *stages) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for i, end := range s.open {
		if end != nil {
			end()
			s.open[i] = nil
		}
	}
}
