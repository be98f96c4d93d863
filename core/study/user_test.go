package study

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadUser(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		name, text string
		want       UserConfig
		err        string
	}{
		{name: "good", text: "plugin_dirs = [\"/opt/p\", \"q\"]\ncache_dir = \"c\"\ntariff_per_kwh = 0.3\ncurrency = \"EUR\"\ngrid_g_per_kwh = 380\npue = 1.2\n", want: UserConfig{
			PluginDirs: []string{"/opt/p", "q"}, CacheDir: "c", TariffPerKWh: 0.3, Currency: "EUR", GridIntensityGPerKWh: 380, PUE: 1.2,
		}},
		{name: "empty", text: ""},
		{name: "comments", text: "# tariff_per_kwh = 0.3\n"},
		{name: "unknown", text: "tarif_per_kwh = 0.3\n", err: "unknown.toml:1:1: tarif_per_kwh: unknown key\n  1 | tarif_per_kwh = 0.3\n    | ^ did you mean \"tariff_per_kwh\"?\n1 problem, nothing was started."},
		{name: "strange", text: "zzzzzzzz = 1\n", err: "strange.toml:1:1: zzzzzzzz: unknown key\n  1 | zzzzzzzz = 1\n    | ^ known here: plugin_dirs, cache_dir, tariff_per_kwh, currency, grid_g_per_kwh, pue, sensor_calibration\n1 problem, nothing was started."},
		{name: "range", text: "pue = 0.5\ntariff_per_kwh = 0\n", err: "range.toml:1:1: pue: 0.5: expected at least 1\n  1 | pue = 0.5\n    | ^ Power usage effectiveness of the site.\nrange.toml:2:1: tariff_per_kwh: 0: expected more than 0\n  2 | tariff_per_kwh = 0\n    | ^ Price of a kWh.\n2 problems, nothing was started."},
		{name: "type", text: "plugin_dirs = \"/opt\"\n", err: "type.toml:1:1: plugin_dirs: expected a list of strings, found the string \"/opt\"; write [\"/opt\"]\n  1 | plugin_dirs = \"/opt\"\n    | ^ Directories with plugins.\n1 problem, nothing was started."},
		{name: "factors", text: "[sensor_calibration]\nGPU-1 = 1.02\n", want: UserConfig{SensorCalibration: map[string]float64{"GPU-1": 1.02}}},
		{name: "uuid", text: "sensor_calibration = { 0 = 1.02 }\n", err: "uuid.toml:1:24: sensor_calibration.0: \"0\" is no UUID of a GPU, such as GPU-8f6a2f5e-0000-0000-0000-000000000000; `nvidia-smi -L` lists them\n  1 | sensor_calibration = { 0 = 1.02 }\n    |                        ^ Factors by GPU UUID, from an external meter; above 0, at most 2.\n1 problem, nothing was started."},
		{name: "factor", text: "[sensor_calibration]\nGPU-1 = 1.01\nGPU-2 = 20\n", err: "factor.toml:3:1: sensor_calibration.GPU-2: expected a number above 0, at most 2, found the integer 20\n  3 | GPU-2 = 20\n    | ^ Factors by GPU UUID, from an external meter; above 0, at most 2.\n1 problem, nothing was started."},
		{name: "syntax", text: "pue = \n", err: "syntax.toml:1:7: expected value but found '\\n' instead\n  1 | pue = \n    |       ^\n1 problem, nothing was started."},
		{name: "bytes", text: "pue = 1.1 # \xff\n", err: "bytes.toml: line 1 is not UTF-8; save the file as UTF-8\n1 problem, nothing was started."},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := test.name + ".toml"
			if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := LoadUser(path)
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff(test.err, message); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadCalibrationIsRefused(t *testing.T) {
	for _, factor := range []string{"0", "-1.0", "2.01", "nan", "inf", "true", "\"1\"", "[1.0]"} {
		if _, err := parseUser("c.toml", []byte("[sensor_calibration]\nGPU-1 = "+factor+"\n")); err == nil {
			t.Errorf("the factor %s is taken", factor)
		}
	}
	u, err := parseUser("c.toml", []byte("[sensor_calibration]\nGPU-1 = 1\nGPU-2 = 2.0\n"))
	if err != nil || u.SensorCalibration["GPU-1"] != 1 || u.SensorCalibration["GPU-2"] != 2 {
		t.Errorf("%v, %v", u.SensorCalibration, err)
	}
}

// FuzzUser checks that no settings make reading panic, and that what is taken
// is within its bounds.
func FuzzUser(f *testing.F) {
	f.Add("plugin_dirs = [\"/opt/p\", \"q\"]\ncache_dir = \"c\"\ntariff_per_kwh = 0.3\ncurrency = \"EUR\"\ngrid_g_per_kwh = 380\npue = 1.2\n")
	f.Add("[sensor_calibration]\nGPU-1 = 1.02\n")
	f.Add("pue = nan\ntariff_per_kwh = -inf\n")
	f.Add("[[pue]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseUser("fuzz.toml", []byte(text))
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 || err.Error() == "" {
				t.Fatalf("%v is no Problems", err)
			}
			return
		}
		for uuid, v := range u.SensorCalibration {
			if !(v > 0 && v <= 2) {
				t.Errorf("factor %v for %s", v, uuid)
			}
		}
		for name, v := range map[string]float64{"tariff": u.TariffPerKWh, "grid": u.GridIntensityGPerKWh, "pue": u.PUE} {
			if !(v >= 0) || math.IsInf(v, 0) || name == "pue" && v != 0 && (v < 1 || v > 10) {
				t.Errorf("%s = %v", name, v)
			}
		}
	})
}

func TestLoadUserWithoutFile(t *testing.T) {
	for _, path := range []string{"", filepath.Join(t.TempDir(), "absent", "config.toml")} {
		u, err := LoadUser(path)
		if diff := cmp.Diff(UserConfig{}, u); err != nil || diff != "" {
			t.Errorf("LoadUser(%q): %v, %s", path, err, diff)
		}
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("config.toml", 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := LoadUser("config.toml")
	if want := "read settings config.toml: it is a directory; name the .toml file in it"; err == nil || err.Error() != want {
		t.Errorf("a directory: %v, want %s", err, want)
	}
}

func TestUserConfigPath(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	t.Setenv("XDG_CONFIG_HOME", "")
	if path, err := UserConfigPath(); err != nil || path != "/home/u/.config/llem/config.toml" {
		t.Errorf("%s, %v", path, err)
	}
	t.Setenv("XDG_CONFIG_HOME", "/x")
	if path, err := UserConfigPath(); err != nil || path != "/x/llem/config.toml" {
		t.Errorf("%s, %v", path, err)
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "")
	if path, err := UserConfigPath(); err != nil || path != "" {
		t.Errorf("without a home: %s, %v", path, err)
	}
}
