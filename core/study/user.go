package study

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// UserConfig holds machine-local preferences. Zero values mean "not set": a
// cost or CO2 figure without its factor is absent, not 0. So that the two stay
// apart, a file cannot set a factor to 0.
type UserConfig struct {
	PluginDirs           []string
	CacheDir             string
	TariffPerKWh         float64
	Currency             string
	GridIntensityGPerKWh float64
	PUE                  float64
	// SensorCalibration holds factors by GPU UUID, from an external meter.
	SensorCalibration map[string]float64
}

var userFields = []field[UserConfig]{
	{key: "plugin_dirs", at: func(u *UserConfig) any { return &u.PluginDirs }, doc: "Directories with plugins."},
	{key: "cache_dir", at: func(u *UserConfig) any { return &u.CacheDir }, doc: "Where llem keeps what it can make again."},
	{key: "tariff_per_kwh", at: func(u *UserConfig) any { return &u.TariffPerKWh }, above: zero, doc: "Price of a kWh."},
	{key: "currency", at: func(u *UserConfig) any { return &u.Currency }, doc: "Its currency."},
	{key: "grid_g_per_kwh", at: func(u *UserConfig) any { return &u.GridIntensityGPerKWh }, above: zero, doc: "CO2-equivalent of a kWh in g."},
	{key: "pue", at: func(u *UserConfig) any { return &u.PUE }, min: one, max: bound(10), doc: "Power usage effectiveness of the site."},
	{key: "sensor_calibration", at: func(u *UserConfig) any { return &u.SensorCalibration }, doc: "Factors by GPU UUID, from an external meter; above 0, at most 2.", max: bound(2)},
}

// UserConfigPath is where the user's settings lie:
// $XDG_CONFIG_HOME/llem/config.toml.
func UserConfigPath() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil //nolint:nilerr // no home, no settings
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "llem", "config.toml"), nil
}

// LoadUser reads the user's settings; without a file they are zero.
func LoadUser(path string) (UserConfig, error) {
	if path == "" {
		return UserConfig{}, nil
	}
	text, err := readText(path, "settings")
	if errors.Is(err, fs.ErrNotExist) {
		return UserConfig{}, nil
	}
	if err != nil {
		return UserConfig{}, err
	}
	return parseUser(path, text)
}

// parseUser is LoadUser for a text that is at hand.
func parseUser(path string, text []byte) (UserConfig, error) {
	var u UserConfig
	tree, src, err := parseTree(displayPath(path), text, "settings file")
	if err != nil {
		return u, err
	}
	var problems Problems
	var names []string
	for _, f := range userFields {
		if f.unused == "" {
			names = append(names, f.key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		f, known := findField(userFields, key)
		switch {
		case !known:
			hint := "known here: " + strings.Join(names, ", ")
			if near := sdk.Nearest(key, names); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			problems = append(problems, src.problem(key, "unknown key", hint))
		case f.unused != "":
			problems = append(problems, src.problem(key, f.unused, "remove it"))
		default:
			if err := f.assign(&u, tree[key]); err != nil {
				var entry entryError
				if errors.As(err, &entry) {
					key += "." + entry.key
				}
				problems = append(problems, src.problem(key, err.Error(), f.doc))
			}
		}
	}
	if len(problems) > 0 {
		problems.Sort()
		return u, problems
	}
	return u, nil
}
