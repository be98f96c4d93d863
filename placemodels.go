package llem

import (
	"context"
	"fmt"
	"path/filepath"
)

// placeModels makes relative model.paths, which are taken from the study's
// directory, absolute: a plugin runs in a directory of its own.
func (p *Prepared) placeModels(context.Context, *findings) error {
	for i := range p.Cells {
		model := &p.Cells[i].Model
		if model.Path == "" || filepath.IsAbs(model.Path) || p.Spec.Path == "" {
			continue
		}
		absolute, err := filepath.Abs(filepath.Join(filepath.Dir(p.Spec.Path), model.Path))
		if err != nil {
			return fmt.Errorf("model.path %s: %w", model.Path, err)
		}
		model.Path = absolute
	}
	return nil
}
