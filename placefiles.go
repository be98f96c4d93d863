package llem

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/llenergymeasure/llem/sdk"
)

// placeFiles makes relative model.paths and parameters that name files, which are
// taken from the study's directory, absolute: a plugin runs in a directory of its
// own.
func (p *Prepared) placeFiles(context.Context, *findings) error {
	if p.Spec.Path == "" {
		return nil
	}
	dir, err := filepath.Abs(filepath.Dir(p.Spec.Path))
	if err != nil {
		return fmt.Errorf("find the directory of the study %s: %w", p.Spec.Path, err)
	}
	for i := range p.Cells {
		cell := &p.Cells[i]
		if path := cell.Model.Path; path != "" && !filepath.IsAbs(path) {
			cell.Model.Path = filepath.Join(dir, path)
		}
		cell.Parameters = placePaths(dir, p.schemas[cell.Plugin].BackendSchema, cell.Parameters)
	}
	for i := range p.sources {
		s := &p.sources[i]
		s.parameters = placePaths(dir, p.schemas[s.plugin].SourceSchema, s.parameters)
	}
	return nil
}

// placePaths returns a table with the paths that its schema names made absolute.
// The table itself may be shared between cells and stays as it is.
func placePaths(dir string, schema []sdk.Parameter, table map[string]any) map[string]any {
	placed := maps.Clone(table)
	for _, parameter := range schema {
		switch value := table[parameter.Key].(type) {
		case string:
			if parameter.Format == sdk.FormatPath && value != "" && !filepath.IsAbs(value) {
				placed[parameter.Key] = filepath.Join(dir, value)
			}
		case sdk.Table:
			if parameter.Type == sdk.TypeTable {
				placed[parameter.Key] = sdk.Table(placePaths(dir, parameter.Children, value))
			}
		}
	}
	return placed
}
