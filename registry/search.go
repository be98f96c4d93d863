package registry

import (
	"os"
	"path/filepath"
)

// Dir is a directory in which plugins are looked for.
type Dir struct {
	Path string
	// Origin says who named it: "--plugin-dir", "LLEM_PLUGIN_DIR", "user
	// config", "user data directory" or "beside llem".
	Origin string
}

// The origins of a directory, in the order in which they are searched.
const (
	OriginFlag   = "--plugin-dir"
	OriginEnv    = "LLEM_PLUGIN_DIR"
	OriginConfig = "user config"
	OriginUser   = "user data directory"
	OriginBeside = "beside llem"
)

// named tells whether somebody wrote the directory down, so that its absence
// is worth a word.
func (d Dir) named() bool {
	return d.Origin == OriginFlag || d.Origin == OriginEnv || d.Origin == OriginConfig
}

// SearchPath returns the directories to search, first to last: --plugin-dir,
// the list in LLEM_PLUGIN_DIR, those of the user config, the user's data
// directory, and "plugins" in and beside the directory of the llem binary.
// The working directory is never among them by itself: whoever unpacks an
// archive and measures inside it must not run what the archive holds.
// Relative paths that somebody wrote are taken from the working directory.
func SearchPath(flagDirs, configDirs []string) []Dir {
	var dirs []Dir
	seen := map[string]bool{}
	add := func(path, origin string) {
		if path == "" { // no home, or an empty list element: not the working directory
			return
		}
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		if path = filepath.Clean(path); !seen[path] {
			seen[path] = true
			dirs = append(dirs, Dir{Path: path, Origin: origin})
		}
	}
	for _, path := range flagDirs {
		add(path, OriginFlag)
	}
	for _, path := range filepath.SplitList(os.Getenv("LLEM_PLUGIN_DIR")) {
		add(path, OriginEnv)
	}
	for _, path := range configDirs {
		add(path, OriginConfig)
	}
	add(UserDir(), OriginUser)
	if binary, err := os.Executable(); err == nil {
		add(filepath.Join(filepath.Dir(binary), "plugins"), OriginBeside)
		add(filepath.Join(filepath.Dir(binary), "..", "plugins"), OriginBeside)
	}
	return dirs
}

// UserDir returns the directory into which plugins are installed for one
// user: $XDG_DATA_HOME/llem/plugins, or ~/.local/share/llem/plugins. A
// relative XDG_DATA_HOME is ignored, as its specification asks. Without a home
// there is none, and the answer is empty; Install refuses that.
func UserDir() string {
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "llem", "plugins")
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "llem", "plugins")
	}
	return ""
}
