package engine

import (
	"fmt"
	"math"

	"github.com/ollama/ollama/model"
	"github.com/ollama/ollama/model/input"
)

// row is one token of a step.
type row struct {
	token    uint32
	position int32 // in its sequence, from 0
	slot     int   // names the sequence in the KV cache
	wanted   bool  // its logits are
}

// forward runs one step and returns the logits of the wanted rows, in order,
// Facts.Vocab of them each. When it returns, all threads have finished.
func (e *Engine) forward(rows []row) (logits []float32, err error) {
	defer recovered("run a step", &err)
	tokens, positions, slots := make([]int32, len(rows)), make([]int32, len(rows)), make([]int, len(rows))
	var outputs []int32
	for i, r := range rows {
		tokens[i], positions[i], slots[i] = int32(r.token), r.position, r.slot
		if r.wanted {
			outputs = append(outputs, int32(i))
		}
	}
	if outputs == nil {
		// The graph needs an end: the last row's logits are computed and
		// thrown away.
		outputs = []int32{int32(len(rows) - 1)}
	}
	c := e.model.Backend().NewContext()
	defer c.Close()
	c.SetBatchSize(len(rows))
	t, err := model.Forward(c, e.model, input.Batch{
		Inputs:    c.Input().FromInts(tokens, len(tokens)),
		Outputs:   c.Input().FromInts(outputs, len(outputs)),
		Positions: positions,
		Sequences: slots,
	})
	if err != nil {
		return nil, fmt.Errorf("run a step of %d tokens: %w", len(rows), err)
	}
	c.Compute(t)
	logits = t.Floats()
	if len(logits) != len(outputs)*e.Facts.Vocab {
		return nil, fmt.Errorf("run a step: %d logits came back for %d rows of %d", len(logits), len(outputs), e.Facts.Vocab)
	}
	return logits, nil
}

// forget frees a slot of the KV cache.
func (e *Engine) forget(slot int) error {
	if err := e.cache.Remove(slot, 0, math.MaxInt32); err != nil {
		return fmt.Errorf("free slot %d of the KV cache: %w", slot, err)
	}
	return nil
}
