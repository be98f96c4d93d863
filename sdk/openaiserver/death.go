package openaiserver

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// What servers say before they end, most telling first. Patterns are those of
// Python, of C++ engines, and of the kernel's own words.
var (
	portTaken = regexp.MustCompile(`(?i)address already in use|errno 98|couldn't bind|could not bind|failed to bind|EADDRINUSE`)

	usualFaults = []Fault{
		{Line: regexp.MustCompile(`(?i)out of memory|OutOfMemoryError|failed to allocate|cudaErrorMemoryAllocation|std::bad_alloc|No available memory for the cache blocks|less than desired GPU memory`),
			Code: sdk.OutOfMemory, Advice: "make the model, the context or the number of sequences smaller, or free the device"},
		{Line: regexp.MustCompile(`(?i)unrecognized arguments?:|invalid argument:|unknown argument|invalid choice|error: argument|no such option|expected one argument|invalid value`),
			Code: sdk.UnsupportedParameter, Advice: "this version of the server does not take it: see its own --help"},
		{Line: regexp.MustCompile(`ModuleNotFoundError|No module named|command not found|PackageNotFoundError`),
			Code: sdk.EngineMissing, Advice: "install the engine in the environment that is named"},
	}

	exception = regexp.MustCompile(`(^|\s)[\w.]*(Error|Exception|Interrupt): `)
	telling   = regexp.MustCompile(`(?i)\berror\b|\bfatal\b|\bfailed\b|\babort|\bterminate called|Error: `)
	// frames stand beside the cause, and others only pass it on.
	frames = regexp.MustCompile(`(^|\] )\s*(File "|raise |Traceback|\^)`)
	// harmless was survived, or is no failure whatever words are in it.
	harmless = regexp.MustCompile(`\b(WARN(ING)?|INFO|DEBUG)\b`)
	// What a server says that it passes over did not end it.
	passedOver = regexp.MustCompile(`(?i)\bignor(e|ed|ing) (\w+ )?(import )?error`)
	// Python's own warnings, and the line of code that it shows with each.
	pythonWarns = regexp.MustCompile(`\w+Warning: |^\s*warnings\.warn\(`)
	passedOn    = regexp.MustCompile(`Engine core initialization failed|See root cause above|See stack trace \(above\)`)
)

// tells whether a line speaks of a failure.
func tells(line string) bool { return telling.MatchString(line) && !harmless.MatchString(line) }

// findFault returns the line that matters and what it means: one that a fault
// knows, else the last exception that is not another's echo, else the last word of
// failure, else the last line.
func findFault(e *Engine, lines []string) (string, Fault) {
	lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return strings.TrimSpace(line) == "" || frames.MatchString(line) || passedOver.MatchString(line)
	})
	if line, fault, ok := matchFault(e.Faults, lines); ok {
		return line, fault
	}
	// The usual words stand in warnings of servers that are well, too.
	grave := slices.DeleteFunc(slices.Clone(lines), harmless.MatchString)
	if line, fault, ok := matchFault(usualFaults, grave); ok {
		return line, fault
	}
	for _, wanted := range []func(string) bool{
		func(line string) bool {
			return exception.MatchString(line) && !passedOn.MatchString(line) && !harmless.MatchString(line)
		},
		tells,
		func(line string) bool { return !pythonWarns.MatchString(line) },
	} {
		for _, line := range slices.Backward(lines) {
			if wanted(line) {
				return line, Fault{Code: sdk.EngineCrashed}
			}
		}
	}
	return "", Fault{Code: sdk.EngineCrashed}
}

// matchFault returns the first fault of the list that knows a line, and that line.
func matchFault(faults []Fault, lines []string) (string, Fault, bool) {
	for _, f := range faults {
		if i := slices.IndexFunc(lines, f.Line.MatchString); i >= 0 {
			return lines[i], f, true
		}
	}
	return "", Fault{}, false
}

// died explains a server that ended on its own.
func (b *backend) died(phase string) *sdk.Error {
	p := b.process
	how := p.end()
	p.log.settle()
	lines := p.log.tail()
	line, fault := findFault(&b.engine, lines)
	line = withHead(lines, line)
	err := &sdk.Error{Code: fault.Code, Phase: phase, KeyPath: fault.Key, Advice: fault.Advice}
	if err.KeyPath == "" && fault.Code == sdk.UnsupportedParameter {
		err.KeyPath = keyOf(b.engine.table(), line)
		if err.KeyPath == "" && mentionsAny(line, b.settings.List(extraKey)) {
			err.KeyPath = extraKey
		}
		if err.KeyPath == "" {
			err.KeyPath = fault.Else
		}
	}
	who := "the server"
	if phase == buildPhase {
		who = "the build"
	}
	err.Message = fmt.Sprintf("%s ended (%s)", who, how)
	if line != "" && !(strings.Contains(how, "signal: killed") && !tells(line)) { // a killed server says nothing about it
		err.Message += ": " + b.hide(strings.TrimSpace(line))
	}
	if err.Advice == "" {
		err.Advice = "its log is in the trial's log"
		if strings.Contains(how, "signal: killed") {
			err.Advice = "somebody killed it; if `dmesg` names it, the machine was out of memory"
		}
	}
	return err
}

// withHead puts the line before an indented one in front of it: checkers of files
// name the key there.
func withHead(lines []string, line string) string {
	if at := slices.Index(lines, line); at > 0 && strings.HasPrefix(line, "  ") {
		return strings.TrimSpace(lines[at-1]) + ": " + strings.TrimSpace(line)
	}
	return line
}

// mentionsAny tells whether one of the arguments stands in the line.
func mentionsAny(line string, args []any) bool {
	for _, v := range args {
		if arg, ok := v.(string); ok && strings.HasPrefix(arg, "-") && mentions(line, strings.SplitN(arg, "=", 2)[0]) {
			return true
		}
	}
	return false
}

// hide takes the API key out of a text.
func (b *backend) hide(line string) string {
	if b.apiKey == "" {
		return line
	}
	return strings.ReplaceAll(line, b.apiKey, "[api_key]")
}
