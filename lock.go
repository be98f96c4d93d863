package llem

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/registry"
	"github.com/llenergymeasure/llem/sdk"
)

// LockPath is where the lock of a study file lies: beside it.
func LockPath(studyPath string) string {
	return filepath.Join(filepath.Dir(studyPath), registry.LockFile)
}

// lockCommand is the command that renews the lock of a study, to be pasted.
func lockCommand(studyPath string, pluginDirs []string) string {
	words := []string{"llem", "plugins", "lock"}
	for _, dir := range pluginDirs {
		words = append(words, "--plugin-dir", dir)
	}
	words = append(words, studyPath)
	for i, word := range words {
		if strings.ContainsFunc(word, func(r rune) bool {
			return !strings.ContainsRune("/._-+=:,@%", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}) {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// readLock reads the lock beside a study; nil if there is none yet.
func readLock(studyPath string) (*registry.Lock, error) {
	if studyPath == "" {
		return nil, nil
	}
	lock, err := registry.ReadLock(LockPath(studyPath))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return lock, err
}

// keepLock writes the lock beside the study at its first use, adds plugins
// that are new to it later, and returns the lock of the plugins in use. A
// place that cannot be written is a warning: a study may be run from a
// read-only directory, and its results hold the lock, too.
func (p *Prepared) keepLock(names []string) (*registry.Lock, error) {
	now, err := p.Registry.LockFor(names)
	if err != nil || p.Spec.Path == "" {
		return now, err
	}
	kept := p.lock
	if kept == nil {
		kept = &registry.Lock{}
	}
	if len(kept.Missing(names)) == 0 {
		return now, nil
	}
	p.lock = kept.Extend(now)
	if err := registry.WriteLock(LockPath(p.Spec.Path), p.lock); err != nil {
		p.notLocked(err)
	}
	return now, nil
}

func (p *Prepared) notLocked(err error) {
	p.warnings = append(p.warnings, sdk.Warning{Code: "lock_not_written", Message: fmt.Sprintf(
		"%v; a later change of its plugins will not be noticed", err)})
}

// lockedAuto refuses plugins that "auto" may come to and that differ from the
// lock: passed over, they would change the source of the joules unnoticed.
func (p *Prepared) lockedAuto(found *findings) {
	if p.lock == nil || !slices.Contains(p.Spec.Energy, auto) {
		return
	}
	for _, name := range measure.AutoSources() {
		// One that is not installed any more is told of by the source that
		// stands in for it.
		if entry, err := p.Registry.Find(name); err == nil {
			if err := p.lock.Check(entry); err != nil {
				found.add("energy", err.Error(), "")
			}
		}
	}
}

func (p *Prepared) pluginNames() []string { return pluginNames(p.Spec, p.Cells) }

// PluginNames lists the plugins that a study names: those of its cells'
// backends and of its energy sources, without the built-in ones and without
// those that "auto" may come to: these are locked when it does.
func PluginNames(spec *study.Study) ([]string, error) {
	cells, err := study.Expand(spec)
	return pluginNames(spec, cells), err
}

func pluginNames(spec *study.Study, cells []study.Cell) []string {
	var names []string
	for _, cell := range cells {
		names = append(names, cell.Plugin)
	}
	for _, s := range namedSources(spec) {
		names = append(names, s.plugin)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
