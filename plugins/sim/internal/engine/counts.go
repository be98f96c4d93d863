package engine

import (
	"context"
	"sync"

	"github.com/llenergymeasure/llem/sdk"
)

// counts are the engine's counters since Load.
type counts struct {
	mu                                        sync.Mutex
	steps, prompt, output, padding, scheduled int64
	running                                   int64 // sequences, summed over steps
	movedNs                                   int64
}

// nextStep is the number of the step to come, from 1.
func (c *counts) nextStep() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps + 1
}

func (c *counts) add(l load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	produced := int64(l.prefilling + l.decoding)
	padding := int64(l.promptPadding + l.idleSlots)
	c.steps++
	c.prompt += int64(l.promptTokens)
	c.output += produced
	c.padding += padding
	c.scheduled += int64(l.promptTokens+l.decoding) + padding
	c.running += produced
}

// moved notes that the schedule was moved: the machine was too late for the
// bus, and the load's timing is not the nominal one.
func (c *counts) moved(ns int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.movedNs += ns
}

// movedSoFar is by how much the schedule was moved since Load.
func (c *counts) movedSoFar() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.movedNs
}

// Counters implements sdk.Counting.
func (e *Engine) Counters(context.Context) (sdk.Counters, error) {
	c := &e.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	steps, prompt, output, padding, scheduled := c.steps, c.prompt, c.output, c.padding, c.scheduled
	counters := sdk.Counters{
		MonoNs: sdk.MonoNow(), EngineSteps: &steps, PromptTokens: &prompt, OutputTokens: &output,
		PaddingTokens: &padding, ScheduledTokens: &scheduled,
		Named: []sdk.NamedMetric{{Name: "schedule_moved", Unit: "s", Direction: "lower", Value: float64(c.movedNs) / 1e9}},
	}
	if steps > 0 {
		mean := float64(c.running) / float64(steps)
		counters.RunningMean = &mean
	}
	return counters, nil
}
