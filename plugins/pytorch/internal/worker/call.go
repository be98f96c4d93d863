package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// envelope is a call. An abort has the number of the call that it breaks off,
// so that it can neither come too early nor hit the next one.
type envelope struct {
	Call      string `json:"call"`
	Number    int64  `json:"number"`
	Arguments any    `json:"arguments,omitempty"`
	Within    bool   `json:"within,omitempty"` // a message of the call that is being served
}

// Stage is a part of a load, as the worker tells it.
type Stage struct {
	Kind    sdk.StageKind   `json:"kind"`
	Moment  sdk.StageMoment `json:"moment"`
	Message string          `json:"message"`
}

// failure is an error as the worker tells it.
type failure struct {
	Code    sdk.Code         `json:"code"`
	Message string           `json:"message"`
	Key     string           `json:"key"`
	Advice  string           `json:"advice"`
	Numbers map[string]int64 `json:"numbers"`
}

// Event is what the worker tells before a call's answer.
type Event struct {
	Name   string
	Header json.RawMessage
	Data   []byte
}

// Stage reads an event of a load; ok is false for any other.
func (e Event) Stage() (stage Stage, ok bool) {
	return stage, e.Name == "stage" && json.Unmarshal(e.Header, &stage) == nil
}

// Tell sends a message that belongs to the call in progress, from any goroutine.
func (p *Process) Tell(name string, arguments any, data []byte) error {
	if err := p.write(envelope{Call: name, Number: p.calls, Arguments: arguments, Within: true}, data); err != nil {
		return p.crash(err)
	}
	return nil
}

func (p *Process) write(header any, data []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	return writeMessage(p.socket, header, data)
}

// Call makes one call with its raw data and waits for its answer, which it
// decodes into answer; raw data that came with it is returned. What the worker
// tells before goes to onEvent, if that is not nil. When ctx ends,
// the worker is told to break off, and it is killed if it has not answered
// within patience. One call at a time.
func (p *Process) Call(ctx context.Context, name string, arguments any, data []byte, patience time.Duration, answer any, onEvent func(Event)) ([]byte, error) {
	p.calls++
	call := envelope{Call: name, Number: p.calls, Arguments: arguments}
	over := make(chan struct{})
	defer close(over)
	stop := context.AfterFunc(ctx, func() { p.breakOff(call.Number, patience, over) })
	defer stop()
	if err := p.write(call, data); err != nil {
		return nil, p.crash(err)
	}
	for {
		header, data, err := readMessage(p.socket)
		if err != nil {
			return nil, p.crash(err)
		}
		var event struct {
			Event string `json:"event"`
		}
		if err := json.Unmarshal(header, &event); err != nil {
			return nil, fmt.Errorf("read the worker's answer: %w", err)
		}
		switch event.Event {
		case "done":
			if err := json.Unmarshal(header, answer); err != nil {
				return nil, fmt.Errorf("read the worker's answer: %w", err)
			}
			return data, nil
		case "error":
			var f failure
			if err := json.Unmarshal(header, &f); err != nil {
				return nil, fmt.Errorf("read the worker's error: %w", err)
			}
			return nil, &sdk.Error{Code: f.Code, Message: redact(f.Message), KeyPath: f.Key, Advice: f.Advice, Numbers: f.Numbers}
		default:
			if onEvent != nil {
				onEvent(Event{event.Event, header, data})
			}
		}
	}
}

// breakOff tells the worker to end its call, and ends the worker if it does
// not.
func (p *Process) breakOff(number int64, patience time.Duration, over <-chan struct{}) {
	// A worker whose socket is full does not read, and is killed below.
	_ = p.socket.SetWriteDeadline(time.Now().Add(patience))
	_ = p.write(envelope{Call: "abort", Number: number}, nil)
	_ = p.socket.SetWriteDeadline(time.Time{})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		_ = p.command.Process.Kill() // the call's read then ends
	}
}

// crash tells how the worker ended, which shows as an error of its socket.
func (p *Process) crash(cause error) error {
	select {
	case <-p.exited:
	case <-time.After(exitGrace):
		return &sdk.Error{Code: sdk.EngineCrashed, Message: fmt.Sprintf("the %s (process %d) closed its socket and lives on: %v", p.name, p.PID(), cause)}
	}
	select {
	case <-p.output.done:
	case <-time.After(exitGrace):
	}
	message := fmt.Sprintf("the %s (process %d) ended: %s", p.name, p.PID(), ending(p.status))
	if tail := p.output.tail(); tail != "" {
		message += "; its last lines:\n" + tail
	}
	return &sdk.Error{Code: sdk.EngineCrashed, Message: strings.TrimSpace(message), Advice: advice(p.status)}
}

func ending(status error) string {
	if status == nil {
		return "exit status 0"
	}
	return status.Error()
}

func advice(status error) string {
	var exit *exec.ExitError
	if errors.As(status, &exit) {
		if wait, ok := exit.Sys().(syscall.WaitStatus); ok && wait.Signaled() && wait.Signal() == syscall.SIGKILL {
			return "something killed it: look for the kernel's out-of-memory killer in `dmesg`"
		}
	}
	return "the trial's log has more of what it printed"
}
