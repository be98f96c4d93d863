package gate

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every code that core emits is a row of the table or listed as a plain one, and
// nothing is listed that core does not emit.
func TestEveryCodeIsKnown(t *testing.T) {
	known := map[string]string{}
	know := func(code, what string) {
		if old, twice := known[code]; twice {
			t.Errorf("%s is listed as %s and as %s", code, old, what)
		}
		known[code] = what
	}
	emitted := emittedCodes(t, "..")
	for _, g := range Table() {
		know(g.Code, "gate")
		if g.Emitter == "" {
			emitted[g.Code] = "Judge"
		}
	}
	for _, p := range Notes() {
		know(p.Code, "note")
	}
	for _, p := range Reasons() {
		know(p.Code, "reason")
	}
	if len(emitted) < 80 {
		t.Errorf("only %d codes were found in core: the search is broken", len(emitted))
	}
	for code, at := range emitted {
		if known[code] == "" {
			t.Errorf("%s: code %q is no gate of Table and in neither Notes nor Reasons", at, code)
		}
	}
	for code, what := range known {
		if emitted[code] == "" {
			t.Errorf("%s %q is listed, and nothing in core emits it", what, code)
		}
	}
}

// emittedCodes are the codes in the sources under root, with a place of each:
// string constants named Code..., code... or Event..., the field Code of a literal, and
// the first text given to a function that warns.
func emittedCodes(t *testing.T, root string) map[string]string {
	t.Helper()
	word := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	named := regexp.MustCompile(`^([Cc]ode|Event)[A-Z]`)
	warns := []string{"warn", "warnOf", "once"}
	lists := []string{"table.go", "plain.go"} // they name codes and emit none
	// core/measure makes these two of the words of the contract.
	found := map[string]string{"warning_parameter": "block.go", "dormant_parameter": "block.go"}
	files := token.NewFileSet()
	add := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		if text, err := strconv.Unquote(lit.Value); err == nil && word.MatchString(text) {
			found[text] = files.Position(lit.Pos()).String()
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || slices.Contains(lists, filepath.Base(path)) {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.ValueSpec:
				for i, name := range x.Names {
					if named.MatchString(name.Name) && i < len(x.Values) {
						add(x.Values[i])
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := x.Key.(*ast.Ident); ok && key.Name == "Code" {
					add(x.Value)
				}
			case *ast.CallExpr:
				name := ""
				switch f := x.Fun.(type) {
				case *ast.Ident:
					name = f.Name
				case *ast.SelectorExpr:
					name = f.Sel.Name
				}
				if !slices.Contains(warns, name) && !(name == "note" && filepath.Base(filepath.Dir(path)) == "result") {
					return true
				}
				for _, a := range x.Args[:min(2, len(x.Args))] {
					add(a)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
