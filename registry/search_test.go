package registry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSearchPath(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	beside := []Dir{
		{filepath.Join(filepath.Dir(binary), "plugins"), OriginBeside},
		{filepath.Join(filepath.Dir(filepath.Dir(binary)), "plugins"), OriginBeside},
	}
	here := t.TempDir()
	t.Chdir(here)
	for _, test := range []struct {
		name         string
		env          map[string]string
		flag, config []string
		want         []Dir
	}{{
		name: "the whole order",
		env:  map[string]string{"LLEM_PLUGIN_DIR": "/e1:/e2", "XDG_DATA_HOME": "/data", "HOME": "/h"},
		flag: []string{"/f1", "/f2"}, config: []string{"/c"},
		want: []Dir{{"/f1", OriginFlag}, {"/f2", OriginFlag}, {"/e1", OriginEnv}, {"/e2", OriginEnv}, {"/c", OriginConfig}, {"/data/llem/plugins", OriginUser}},
	}, {
		name: "nothing set: neither the working directory nor an empty list element",
		env:  map[string]string{"LLEM_PLUGIN_DIR": "::", "XDG_DATA_HOME": "", "HOME": "/h"},
		want: []Dir{{"/h/.local/share/llem/plugins", OriginUser}},
	}, {
		name: "a relative XDG_DATA_HOME does not count, and no HOME means no user directory",
		env:  map[string]string{"LLEM_PLUGIN_DIR": "", "XDG_DATA_HOME": "data", "HOME": ""},
	}, {
		name: "written relative paths are from here; the first of equal ones stays",
		env:  map[string]string{"LLEM_PLUGIN_DIR": filepath.Join(here, "p") + "/", "XDG_DATA_HOME": "/data", "HOME": "/h"},
		flag: []string{"p", "./p/../p"},
		want: []Dir{{filepath.Join(here, "p"), OriginFlag}, {"/data/llem/plugins", OriginUser}},
	}} {
		t.Run(test.name, func(t *testing.T) {
			for key, value := range test.env {
				t.Setenv(key, value)
			}
			if diff := cmp.Diff(append(test.want, beside...), SearchPath(test.flag, test.config)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
