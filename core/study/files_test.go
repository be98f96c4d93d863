package study

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const plain = "name = \"plain\"\nbackend = \"ggml\"\n\n[model]\nid = \"m\"\n\n[backends.ggml]\ntext = '''\nx'''\n\n[sweep]\nworkload.requests = [1, 2]\n"

func TestLoadFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("dir.toml", 0o755); err != nil {
		t.Fatal(err)
	}
	write("empty.toml", nil)
	write("blank.toml", []byte(" \n\n"))
	write("latin1.toml", []byte("name = \"a\"\n# caf\xe9\n"))
	write("utf16.toml", []byte("\xff\xfen\x00"))
	write("large.toml", bytes.Repeat([]byte("# 345678\n "), 1<<20))
	write("bom_bad.toml", []byte("\xef\xbb\xbfnaem = \"a\"\nbackend = \"b\"\n[model]\nid = \"m\"\n"))
	write("crlf_bad.toml", []byte("name = \"a\"\r\nbackend = \"b\"\r\n[model]\r\nidd = \"m\"\r\n"))
	write("crlf_syntax.toml", []byte("name = \"a\"\r\nbackend = \r\n[model]\r\n"))
	for _, test := range []struct{ path, want string }{
		{"absent.toml", "read study file absent.toml: file does not exist; `llem config example > study.toml` makes one to start from"},
		{"dir.toml", "read study file dir.toml: it is a directory; name the .toml file in it"},
		{"/dev/null", "read study file /dev/null: it is no regular file; save it as one"},
		{"empty.toml", "empty.toml: the file is empty; `llem config example` prints a study to start from\n1 problem, nothing was started."},
		{"blank.toml", "blank.toml: the file is empty; `llem config example` prints a study to start from\n1 problem, nothing was started."},
		{"latin1.toml", "latin1.toml: line 2 is not UTF-8; save the file as UTF-8\n1 problem, nothing was started."},
		{"utf16.toml", "utf16.toml: line 1 is not UTF-8; save the file as UTF-8\n1 problem, nothing was started."},
		{"large.toml", "read study file large.toml: it has 10.5 MB, more than the 1.0 MB that are read; is it the right file?"},
		{"./bom_bad.toml", "bom_bad.toml: name: required string is missing; write name = \"...\" above the first table\nbom_bad.toml:1:1: naem: unknown key\n  1 | naem = \"a\"\n    | ^ did you mean \"name\"?\n2 problems, nothing was started."},
		{"crlf_bad.toml", "crlf_bad.toml:4:1: model.idd: unknown key\n  4 | idd = \"m\"\n    | ^ did you mean \"id\"?\n1 problem, nothing was started."},
		{"crlf_syntax.toml", "crlf_syntax.toml:2:11: expected value but found '\\r' instead\n  2 | backend = \n    |           ^\n1 problem, nothing was started."},
	} {
		t.Run(test.path, func(t *testing.T) {
			_, err := Load(test.path)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := Load("absent.toml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap fs.ErrNotExist", err)
	}
}

// TestLineEndingsAndByteOrderMark reads one study saved in three ways.
func TestLineEndingsAndByteOrderMark(t *testing.T) {
	dir := t.TempDir()
	load := func(name, text string) []Cell {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		cells, err := Expand(s)
		if err != nil {
			t.Fatal(err)
		}
		return cells
	}
	want := load("lf.toml", plain)
	if len(want) != 2 || want[0].Parameters["text"] != "x" {
		t.Fatalf("cells %+v", want)
	}
	crlf := string(bytes.ReplaceAll([]byte(plain), []byte("\n"), []byte("\r\n")))
	for name, text := range map[string]string{"crlf.toml": crlf, "bom.toml": "\xef\xbb\xbf" + plain, "both.toml": "\xef\xbb\xbf" + crlf} {
		if diff := cmp.Diff(want, load(name, text)); diff != "" {
			t.Errorf("%s (-lf +it):\n%s", name, diff)
		}
	}
}
