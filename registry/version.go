package registry

import (
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
)

// Satisfies tells whether the plugin's version lies within constraint, as a
// study writes it (version = ">=1.0, <2"). See checkVersion for the grammar.
func (e Entry) Satisfies(constraint string) error {
	ok, err := checkVersion(e.Version, constraint)
	if err != nil {
		return fmt.Errorf("version of plugin %s: %w", e.Name, err)
	}
	if !ok {
		return fmt.Errorf("plugin %s in %s has version %s, the study asks for %q; install another one with `llem plugins install PATH`, or change the study's version",
			e.Name, e.Dir, e.Version, constraint)
	}
	return nil
}

// operators, longest first, so that >= is not read as >.
var operators = []string{">=", "<=", "!=", "==", ">", "<", "="}

// checkVersion judges a version by comma-separated comparisons, all of which
// must hold. Parts that are left out are zero: "<2" is "<2.0.0", and "1.4" is
// exactly 1.4.0. The order is that of semantic versions, with one exception
// that everybody expects: "<2" also excludes 2.0.0-rc.1, which comes before
// 2.0.0 in that order.
func checkVersion(version, constraint string) (bool, error) {
	if !validVersion(version) {
		return false, fmt.Errorf("%q is no semantic version", version)
	}
	holds := true
	for part := range strings.SplitSeq(constraint, ",") {
		operator, bound := "=", strings.TrimSpace(part)
		for _, candidate := range operators {
			if rest, ok := strings.CutPrefix(bound, candidate); ok {
				operator, bound = candidate, strings.TrimSpace(rest)
				break
			}
		}
		if !validVersion(bound) {
			return false, fmt.Errorf("%q in %q is no comparison; expected for example \">=1.0, <2\" with %s",
				strings.TrimSpace(part), constraint, strings.Join(operators, " "))
		}
		left := version
		if operator == "<" && semver.Prerelease("v"+bound) == "" {
			left, _, _ = strings.Cut(version, "-")
		}
		holds = holds && compare(semver.Compare("v"+left, "v"+bound), operator)
	}
	return holds, nil
}

func compare(order int, operator string) bool {
	switch operator {
	case ">=":
		return order >= 0
	case "<=":
		return order <= 0
	case "!=":
		return order != 0
	case ">":
		return order > 0
	case "<":
		return order < 0
	}
	return order == 0
}
