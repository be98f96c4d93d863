package registry

import (
	"strings"
	"testing"
)

func TestCheckVersion(t *testing.T) {
	for _, test := range []struct {
		version, constraint string
		want                bool
	}{
		{"1.4.2", ">=1.0, <2", true},
		{"2.0.0", ">=1.0, <2", false},
		{"0.9.9", ">=1.0, <2", false},
		{"2.0.0-rc.1", ">=1.0, <2", false},
		{"2.0.0-rc.1", "<2.0.0-rc.2", true},
		{"2.0.0-rc.1", ">=2", false},
		{"1.10.0", ">1.9", true},
		{"1.4.0", "1.4", true},
		{"1.4.1", "=1.4", false},
		{"1.4.1", "==1.4.1", true},
		{"1.4.1", "!=1.4.1", false},
		{"1.4.1", "<=1.4.1,>=1.4.1", true},
		{"1.0.0+cuda.12-2", "<1.0.1", true},
	} {
		got, err := checkVersion(test.version, test.constraint)
		if err != nil || got != test.want {
			t.Errorf("%s in %q: got %v, %v", test.version, test.constraint, got, err)
		}
	}
}

func TestSatisfiesMessages(t *testing.T) {
	entry := Entry{Manifest: Manifest{Name: "vllm", Version: "1.4.2"}, Dir: "/p/vllm"}
	for constraint, want := range map[string]string{
		">=2":     "plugin vllm in /p/vllm has version 1.4.2, the study asks for \">=2\"; install another one with `llem plugins install PATH`, or change the study's version",
		"~1.4":    `version of plugin vllm: "~1.4" in "~1.4" is no comparison; expected for example ">=1.0, <2" with >= <= != == > < =`,
		">=1.0,,": `version of plugin vllm: "" in ">=1.0,," is no comparison; expected for example ">=1.0, <2" with >= <= != == > < =`,
		"":        `version of plugin vllm: "" in "" is no comparison; expected for example ">=1.0, <2" with >= <= != == > < =`,
	} {
		err := entry.Satisfies(constraint)
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", constraint, err, want)
		}
	}
	if err := entry.Satisfies(" >= 1.4 , < 1.5 "); err != nil {
		t.Error(err)
	}
}

func FuzzCheckVersion(f *testing.F) {
	f.Add("1.2.3", ">=1.0, <2")
	f.Add("1.2.3-rc.1+b-2", "!=1")
	f.Fuzz(func(t *testing.T, version, constraint string) {
		ok, err := checkVersion(version, constraint)
		if err != nil {
			return
		}
		// A negated comparison has the opposite answer.
		if bound, found := strings.CutPrefix(constraint, "!="); found && !strings.Contains(constraint, ",") {
			if opposite, err := checkVersion(version, "="+bound); err != nil || opposite == ok {
				t.Errorf("%q %q: %v, %v, %v", version, constraint, ok, opposite, err)
			}
		}
	})
}
