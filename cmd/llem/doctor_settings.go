package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/llenergymeasure/llem/core/study"
)

// wrongSettings lists what is wrong with the settings: a file that cannot be used,
// or places in it that are not there. A run says the first at once, and of the
// second that plugins are not found, or nothing.
func wrongSettings(a *app) []error {
	var wrong []error
	var problems study.Problems
	switch {
	case errors.As(a.unreadable, &problems):
		for _, p := range problems {
			wrong = append(wrong, p)
		}
	case a.unreadable != nil:
		wrong = append(wrong, a.unreadable)
	}
	for _, dir := range a.user.PluginDirs {
		if _, err := os.ReadDir(dir); err != nil {
			wrong = append(wrong, fmt.Errorf("settings: plugin_dirs: %w; make the directory, or take it out", err))
		}
	}
	if dir := a.user.CacheDir; dir != "" {
		if err := writable(dir); err != nil {
			wrong = append(wrong, fmt.Errorf("settings: cache_dir: %w; sensors would be characterised, and plugins be read, anew by each run: name another directory, or take it out", err))
		}
	}
	return wrong
}

// writable makes a directory, as a run would, and a file in it that is gone at once.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// firstLines leaves out of each error the excerpt of the file.
func firstLines(list []error) []string {
	out := []string{}
	for _, err := range list {
		line, _, _ := strings.Cut(err.Error(), "\n")
		out = append(out, line)
	}
	return out
}
