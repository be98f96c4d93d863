package llem

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/result"
)

// missingTrials holds a result directory against its plans: a trial that is
// neither published nor failed was never run, or was lost.
func missingTrials(dir string, lists ...[]result.Trial) []error {
	type place struct {
		cell  string
		block int
	}
	there := map[place]bool{}
	for _, list := range lists {
		for _, t := range list {
			there[place{t.Cell.ID, t.Block}] = true
		}
	}
	paths, err := filepath.Glob(filepath.Join(dir, "plan-*.json"))
	if err != nil {
		return []error{err}
	}
	var problems []error
	for _, path := range paths {
		var p plan.Plan
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("read %s: %w; whether trials are missing is not known", path, err))
			continue
		}
		for _, cell := range p.Cells {
			var blocks []string
			for _, b := range p.Blocks {
				if !there[place{cell.ID, b.Index}] {
					blocks = append(blocks, strconv.Itoa(b.Index+1))
				}
			}
			if len(blocks) > 0 {
				problems = append(problems, fmt.Errorf("%s: %d of %d planned trials are missing (block %s): they were not run, or are lost",
					cell.Label, len(blocks), len(p.Blocks), strings.Join(blocks, ", ")))
			}
		}
	}
	return problems
}
