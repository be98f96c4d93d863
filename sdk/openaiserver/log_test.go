package openaiserver

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// A bar is told each time it draws itself, and kept as it looked last.
func TestLogTellsOfEveryLookOfABar(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	l := readLog(read, func(line string) { told = append(told, line) })
	if _, err := write.WriteString("starting\n\rgraphs 0%\rgraphs 50%\rgraphs 100%\n\nready\r\n" + strings.Repeat("x", 2*keptLineLen) + "\ncut off"); err != nil {
		t.Fatal(err)
	}
	write.Close()
	l.close()
	long := strings.Repeat("x", keptLineLen)
	if want := []string{"starting", "graphs 0%", "graphs 50%", "graphs 100%", "ready", long, "cut off"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	if want := []string{"starting", "graphs 100%", "ready", long, "cut off"}; !slices.Equal(l.tail(), want) {
		t.Errorf("kept %q", l.tail())
	}
}
