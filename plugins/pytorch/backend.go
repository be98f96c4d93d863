package main

import (
	"context"
	"time"

	"github.com/llenergymeasure/llem/plugins/pytorch/internal/worker"
)

// backend serves one load. Its workers are nil before Load and after Unload.
type backend struct {
	workers    *worker.Group
	continuous bool
	patience   time.Duration // with workers that are to break off; 0 = maxCancelMs
}

// unloadLimit is within which time the workers end before they are killed.
const unloadLimit = 5 * time.Second

// Unload implements sdk.Backend. The devices are freed with the workers.
func (b *backend) Unload(ctx context.Context) error {
	if b.workers == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, unloadLimit)
	defer cancel()
	w := b.workers
	b.workers = nil
	return w.Stop(ctx)
}

// call makes one call of the workers. answers are those of the ranks, as far as
// they are wanted.
func (b *backend) call(ctx context.Context, name string, arguments any, data []byte, answers ...any) ([]byte, error) {
	return b.workers.Call(ctx, name, arguments, data, b.patienceOrDefault(), answers, nil)
}

func (b *backend) patienceOrDefault() time.Duration {
	if b.patience == 0 {
		return maxCancelMs * time.Millisecond
	}
	return b.patience
}

// Tokenize implements sdk.Tokenizer.
func (b *backend) Tokenize(ctx context.Context, texts []string) ([][]uint32, error) {
	var answer struct {
		IDs [][]uint32 `json:"ids"`
	}
	// One rank can do this without the others.
	_, err := b.workers.First().Call(ctx, "tokenize", map[string]any{"texts": texts}, nil, b.patienceOrDefault(), &answer, nil)
	return answer.IDs, err
}
