package worker

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestOutputIsBounded(t *testing.T) {
	var log strings.Builder
	read, write := io.Pipe()
	o := readOutput(read, &log, "")
	for i := range 200_000 {
		fmt.Fprintf(write, "line %d\rprogress\n", i)
	}
	fmt.Fprint(write, strings.Repeat("x", 1<<20)+"\nthe last words")
	write.Close()
	<-o.done
	if log.Len() > mostLogBytes+200 || !strings.Contains(log.String(), "line 0\nprogress\n") || !strings.Contains(log.String(), "more bytes") {
		t.Errorf("a log of %d bytes", log.Len())
	}
	tail := strings.Split(o.tail(), "\n")
	if len(tail) != keptLines || tail[keptLines-1] != "the last words" || len(tail[keptLines-2]) != longestLine {
		t.Errorf("%d last lines, the last of them %q", len(tail), tail[len(tail)-1])
	}
}

func TestTokensAreTakenOut(t *testing.T) {
	t.Setenv("HF_TOKEN", "a-private-token")
	text := redact("hf_abcdefghijKLMNOPQR1234 and a-private-token")
	if text != "hf_*** and ***" {
		t.Error(text)
	}
}
