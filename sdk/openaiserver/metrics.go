package openaiserver

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Metrics are names of what an engine counts, in the text that Prometheus reads. A
// name that the engine does not have stays unknown and is never 0. Series of one
// name are added up over their labels.
type Metrics struct {
	Path string // "" = no counters at all

	EngineSteps, PromptTokens, OutputTokens, CachedPromptTokens           string
	Preemptions, ScheduledTokens, Recompiles, SpecAccepted, PaddingTokens string
	// RunningMean is a gauge: the mean number of sequences in a step.
	RunningMean string
	// CachedInPrompt: PromptTokens leaves cached ones out, and they are added.
	CachedInPrompt bool

	// Busy are gauges that are 0 when the engine has nothing to do.
	Busy []string
	// Named are further ones, kept under their own names.
	Named []Named
}

// Named is a metric to keep, with its unit and whether lower or higher is better.
type Named struct{ Name, Unit, Direction string }

// series are the values of a scrape by name, added up over labels.
type series map[string]float64

// parseMetrics reads Prometheus' text format. Histograms' buckets are left out;
// their sums and counts are series as others.
func parseMetrics(text []byte) (series, error) {
	found := series{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest, ok := cutSeries(line)
		if !ok {
			return nil, fmt.Errorf("metrics line %d: %.80q is no series", number, line)
		}
		fields := strings.Fields(rest) // a stamp may follow
		if len(fields) == 0 {
			return nil, fmt.Errorf("metrics line %d: %.80q has no value", number, line)
		}
		value, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics line %d: %w", number, err)
		}
		if strings.HasSuffix(name, "_bucket") || math.IsNaN(value) || math.IsInf(value, 0) {
			continue
		}
		found[name] += value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return found, nil
}

// cutSeries divides a line into the name and what follows the labels. A label's
// value may hold braces and escaped quotes.
func cutSeries(line string) (name, rest string, ok bool) {
	end := strings.IndexAny(line, "{ \t")
	if end <= 0 {
		return "", "", false
	}
	if line[end] != '{' {
		return line[:end], line[end:], true
	}
	quoted := false
	for i := end + 1; i < len(line); i++ {
		switch {
		case quoted && line[i] == '\\':
			i++
		case line[i] == '"':
			quoted = !quoted
		case !quoted && line[i] == '}':
			return line[:end], line[i+1:], true
		}
	}
	return "", "", false
}
