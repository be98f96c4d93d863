package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// load is the worker process.
type load struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	uuid    string // of the GPU that it runs on
}

func start(worker string) (*load, error) {
	l := &load{process: exec.Command("python3", worker)}
	l.process.Stderr = os.Stderr
	var err error
	if l.in, err = l.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.out = json.NewDecoder(out)
	if err := l.process.Start(); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(l.in).Encode(map[string]any{"size": 8192, "decode_rows": 65536, "batch": 16, "zeus_log": ""}); err != nil {
		return nil, err
	}
	var ready struct{ UUID string }
	if err := l.out.Decode(&ready); err != nil {
		return nil, fmt.Errorf("the worker did not begin: %w", err)
	}
	l.uuid = ready.UUID
	return l, nil
}

// pass runs one kind of work, bound by memory: below the power limit, at which a
// card would hide what it draws more by clocking lower.
func (l *load) pass() (endNs int64, err error) {
	if err := json.NewEncoder(l.in).Encode(map[string]int{"prefill": 0, "decode": 200}); err != nil {
		return 0, err
	}
	var a struct{ End int64 }
	err = l.out.Decode(&a)
	return a.End, err
}

func (l *load) end() {
	_ = l.in.Close()
	_ = l.process.Wait()
}
