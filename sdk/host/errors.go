package host

import (
	"fmt"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Codes of failures that the host finds itself; no plugin reports them.
const (
	// PluginLied: the plugin's reports contradict each other or the clock.
	PluginLied sdk.Code = "plugin_lied"
	// HeartbeatLost: the process lives and does not answer.
	HeartbeatLost sdk.Code = "heartbeat_lost"
	// SourceFlood: an energy source sends more than its sensor can know.
	SourceFlood sdk.Code = "source_flood"
)

// shownLines is how many stderr lines an error's text shows; the rest is in
// its field.
const shownLines = 3

// StartError says why a plugin did not come to its first answer.
type StartError struct {
	Path string
	// What happened, one sentence.
	Reason string
	// Advice is the next thing to try.
	Advice     string
	StderrTail []string
	Err        error
}

func (e *StartError) Error() string {
	text := fmt.Sprintf("start plugin %s: %s", e.Path, e.Reason)
	if tail := lastLines(e.StderrTail); tail != "" {
		text += "; its last words: " + tail
	}
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	return text
}

func (e *StartError) Unwrap() error { return e.Err }

// DiedError says that the plugin's process ended during a call.
type DiedError struct {
	Plugin     string
	Phase      string
	ExitCode   int
	Signal     string // "" unless a signal ended it
	StderrTail []string
}

func (e *DiedError) how() string {
	if e.Signal != "" {
		return "signal " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.ExitCode)
}

func (e *DiedError) Error() string {
	text := fmt.Sprintf("%s: plugin %s died (%s)", e.Phase, e.Plugin, e.how())
	if tail := lastLines(e.StderrTail); tail != "" {
		text += "; its last words: " + tail
	}
	return text
}

// Unwrap makes a DiedError an engine crash, for errors.Is and sdk.CodeOf.
func (e *DiedError) Unwrap() error { return sdk.EngineCrashed }

// LostError says that a plugin lives and has stopped sending heartbeats.
type LostError struct {
	Plugin string
	Phase  string
	Silent time.Duration
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%s: no heartbeat from plugin %s for %.1f s; it hangs", e.Phase, e.Plugin, e.Silent.Seconds())
}

// Unwrap gives the code.
func (e *LostError) Unwrap() error { return HeartbeatLost }

// LieError says that what a plugin reported cannot be true.
type LieError struct {
	Plugin string
	Phase  string
	What   string
}

func (e *LieError) Error() string {
	return fmt.Sprintf("%s: plugin %s reported what cannot be: %s", e.Phase, e.Plugin, e.What)
}

// Unwrap gives the code.
func (e *LieError) Unwrap() error { return PluginLied }

func lastLines(lines []string) string {
	if len(lines) > shownLines {
		lines = lines[len(lines)-shownLines:]
	}
	return strings.TrimSpace(strings.Join(lines, " | "))
}
