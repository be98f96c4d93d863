package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The stages of a load are found in the lines of real servers.
func TestStagesAreFoundInRealLogs(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		// One GPU, without compilation, with the runner that newer versions take.
		{"testdata/log-0.24.0-gpu.txt", "weights begin, weights end, capture begin, capture 100, capture end"},
	} {
		file, err := os.Open(c.file)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		open := map[int]bool{}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			for i, s := range stages {
				switch line := lines.Text(); {
				case !open[i] && s.Begin.MatchString(line):
					found = append(found, fmt.Sprintf("%s begin", s.Kind))
					open[i] = true
				case open[i] && s.End.MatchString(line):
					found = append(found, fmt.Sprintf("%s end", s.Kind))
					open[i] = false
				case open[i] && s.Progress != nil && s.Progress.MatchString(line):
					found = append(found, fmt.Sprintf("%s %s", s.Kind, s.Progress.FindStringSubmatch(line)[1]))
				}
			}
		}
		file.Close()
		if got := strings.Join(found, ", "); got != c.want {
			t.Errorf("%s: %s, want %s", c.file, got, c.want)
		}
	}
}
