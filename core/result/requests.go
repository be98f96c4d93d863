package result

import (
	"fmt"
	"path/filepath"

	"github.com/llenergymeasure/llem/sdk"
)

// requestRow is one request in requests.parquet. Stamps are CLOCK_MONOTONIC
// nanoseconds; null where the request has none.
type requestRow struct {
	Run                string   `parquet:"run,dict"`
	Request            uint32   `parquet:"request,delta"`
	IntendedNs         int64    `parquet:"intended_ns,optional,delta"`
	SentNs             int64    `parquet:"sent_ns,optional,delta"`
	FirstNs            int64    `parquet:"first_ns,optional,delta"`
	LastNs             int64    `parquet:"last_ns,optional,delta"`
	PromptTokens       uint32   `parquet:"prompt_tokens"`
	OutputTokens       uint32   `parquet:"output_tokens"`
	CachedPromptTokens *uint32  `parquet:"cached_prompt_tokens,optional"`
	OutputHash         *uint64  `parquet:"output_hash,optional"`
	FinishReason       string   `parquet:"finish_reason,dict"`
	Error              string   `parquet:"error,optional"`
	ChunkNs            []int64  `parquet:"chunk_ns,list"`
	ChunkTokens        []uint32 `parquet:"chunk_tokens,list"`
}

// Request is one row of requests.parquet: a completion and the Run that it
// belongs to.
type Request struct {
	Run string
	sdk.Completion
}

// requestsWriter is nil until the first request; several Runs of one trial
// share the file.
type requestsWriter struct{ *series[requestRow] }

// WriteRequests appends the completions of one Run ("warm-up", "measured") to
// requests.parquet. It may be called several times.
func (a *Attempt) WriteRequests(completions []sdk.Completion, run string) error {
	if a.ended {
		return a.endedError()
	}
	if a.requests == nil {
		s, err := createSeries[requestRow](filepath.Join(a.path, requestsFile))
		if err != nil {
			return err
		}
		a.requests = &requestsWriter{s}
	}
	for _, c := range completions {
		row := requestRow{
			Run: run, Request: c.Request, IntendedNs: c.IntendedNs, SentNs: c.SentNs, FirstNs: c.FirstNs, LastNs: c.LastNs,
			PromptTokens: c.PromptTokens, OutputTokens: c.OutputTokens, CachedPromptTokens: c.CachedPromptTokens,
			OutputHash: c.OutputHash, FinishReason: c.FinishReason, Error: c.Error,
		}
		for _, chunk := range c.Chunks {
			row.ChunkNs = append(row.ChunkNs, chunk.MonoNs)
			row.ChunkTokens = append(row.ChunkTokens, chunk.Tokens)
		}
		if err := a.requests.add(row); err != nil {
			return err
		}
	}
	return nil
}

func (w *requestsWriter) close() error {
	if w == nil {
		return nil
	}
	return w.series.close()
}

// ReadRequests reads the requests.parquet of a trial's directory, in the order
// in which they were written.
func ReadRequests(trialDir string) ([]Request, error) {
	var out []Request
	err := readSeries(filepath.Join(trialDir, requestsFile), func(row requestRow) error {
		if len(row.ChunkNs) != len(row.ChunkTokens) {
			return fmt.Errorf("request %d has %d chunk stamps and %d chunk counts", row.Request, len(row.ChunkNs), len(row.ChunkTokens))
		}
		c := sdk.Completion{
			Request: row.Request, IntendedNs: row.IntendedNs, SentNs: row.SentNs, FirstNs: row.FirstNs, LastNs: row.LastNs,
			PromptTokens: row.PromptTokens, OutputTokens: row.OutputTokens, CachedPromptTokens: row.CachedPromptTokens,
			OutputHash: row.OutputHash, FinishReason: row.FinishReason, Error: row.Error,
		}
		for i, ns := range row.ChunkNs {
			c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: ns, Tokens: row.ChunkTokens[i]})
		}
		out = append(out, Request{Run: row.Run, Completion: c})
		return nil
	})
	return out, err
}
