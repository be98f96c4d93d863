//go:build linux

package proc

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTailKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab\n")), 0, 2000, -1).Draw(t, "text")
		want := strings.Split(text, "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		var kept tail
		s := kept.stream("")
		finished := strings.Count(text, "\n")
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			_, _ = s.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		want = want[max(0, finished-tailLines):]
		if got := kept.Lines(); !slices.Equal(got, want) {
			t.Fatalf("kept %q, want %q", got, want)
		}
	})
}

func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	var kept tail
	errs, out := kept.stream(""), kept.stream("[stdout] ")
	for range tailLines {
		_, _ = errs.Write(bytes.Repeat([]byte("x"), tailLineLen+7))
		_, _ = out.Write([]byte("half a "))
		_, _ = errs.Write([]byte("\n"))
	}
	_, _ = out.Write([]byte("line"))
	lines := kept.Lines()
	total := len(strings.Join(lines, ""))
	if total > tailBytes+tailLineLen || total < tailBytes/2 {
		t.Errorf("kept %d bytes", total)
	}
	if line := lines[0]; len(line) > tailLineLen+30 || !strings.HasSuffix(line, "x [7 bytes more]") {
		t.Errorf("a long line is kept as %q", line[len(line)-40:])
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "[stdout] half a half a") || !strings.HasSuffix(last, "line") {
		t.Errorf("the unfinished line is %q", last)
	}
}

func TestGarbageBeforeTheHandshakeIsKept(t *testing.T) {
	t.Parallel()
	command := self("garbage")
	client, r, err := connect(command)
	if err == nil {
		t.Fatal("it started")
	}
	if err := EndClient(context.Background(), client, r); err != nil {
		t.Error(err)
	}
	// It may have been killed before it had said all.
	if head := r.StdoutHead(); !strings.HasPrefix(head, "NCCL version 2.27\n") {
		t.Errorf("head %q", head)
	}
	if !strings.Contains(err.Error(), "NCCL version 2.27") {
		t.Errorf("the transport says %v", err)
	}
}

func TestTheWayOfTheEndIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script, signal, text string
		code                 int
	}{
		{script: "exit 0"},
		{script: "echo out; echo last >&2; exit 7", code: 7, text: "exit status 7"},
		{script: "kill -SEGV $$", code: -1, signal: "segmentation fault", text: "signal: segmentation fault"},
	} {
		r, err := NewRunner(Command{Path: "/bin/sh", Args: []string{"-c", c.script}}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		_, _ = log.ReadFrom(r.Stderr())
		text := ""
		if err := r.Wait(t.Context()); err != nil {
			text = err.Error()
		}
		code, signal, ok := r.ExitState()
		if code != c.code || signal != c.signal || !ok || !strings.HasPrefix(text, c.text) || (c.text == "") != (text == "") {
			t.Errorf("%s: %d %q %v %q", c.script, code, signal, ok, text)
		}
		if c.code == 7 && (!slices.Equal(r.StderrTail(), []string{"last"}) || log.String() != "last\n") {
			t.Errorf("kept %q, passed on %q", r.StderrTail(), log.String())
		}
	}
	r, err := NewRunner(Command{Path: "/nowhere"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("start: %v", err)
	}
	if err := r.Kill(t.Context()); err != nil {
		t.Errorf("kill of nobody: %v", err)
	}
}

// After the handshake, nothing on standard output can block a plugin, not even
// one that does not guard it.
func TestPrintsDoNotBlock(t *testing.T) {
	t.Parallel()
	dir, _ := newFamily(t)
	_, r := startPlugin(t, dir, "printer")
	waitFor(t, "the end of the print", func() bool {
		_, err := os.Stat(filepath.Join(dir, "printed"))
		return err == nil
	})
	waitFor(t, "its last line", func() bool {
		lines := r.StderrTail()
		return len(lines) == tailLines && lines[tailLines-1] == "[stdout] many"
	})
}

func TestGuardedPrintsGoToStandardError(t *testing.T) {
	t.Parallel()
	dir, _ := newFamily(t)
	_, r := startPlugin(t, dir, "guarded")
	waitFor(t, "the prints", func() bool { return slices.Equal(r.StderrTail(), []string{"by descriptor", "by name"}) })
}
