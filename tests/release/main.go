// Command release packs modules of this repository into a file-based module
// proxy, so that they can be built from it as a stranger would: outside the
// workspace, at a version, without replace lines.
//
//	release PROXY_DIR VERSION MODULE_DIR...
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: release PROXY_DIR VERSION MODULE_DIR...")
		os.Exit(2)
	}
	for _, dir := range os.Args[3:] {
		if err := pack(os.Args[1], os.Args[2], dir); err != nil {
			fmt.Fprintln(os.Stderr, "release:", err)
			os.Exit(1)
		}
	}
}

// pack writes one module in the layout that GOPROXY=file://... reads.
func pack(proxy, version, dir string) (err error) {
	goMod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	file, err := modfile.Parse("go.mod", goMod, nil)
	if err != nil {
		return err
	}
	if len(file.Replace) > 0 {
		return fmt.Errorf("%s/go.mod has replace lines: `go install` refuses such a module", dir)
	}
	mod := module.Version{Path: file.Module.Mod.Path, Version: version}
	escaped, err := module.EscapePath(mod.Path)
	if err != nil {
		return err
	}
	target := filepath.Join(proxy, escaped, "@v")
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	info := fmt.Sprintf(`{"Version":%q,"Time":%q}`, version, time.Now().UTC().Format(time.RFC3339))
	out, err := os.Create(filepath.Join(target, version+".zip"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return errors.Join(
		os.WriteFile(filepath.Join(target, "list"), []byte(version+"\n"), 0o644),
		os.WriteFile(filepath.Join(target, version+".info"), []byte(info), 0o644),
		os.WriteFile(filepath.Join(target, version+".mod"), goMod, 0o644),
		zip.CreateFromDir(out, mod, dir),
	)
}
