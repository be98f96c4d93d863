package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// statistics adds up what the engine tells of its steps. GET /metrics is a queue of
// them, which reading empties: whatever is read is counted here, once. An answer
// comes when no step has been told for two seconds, or at once in later versions;
// an empty one means that all has been read.
type statistics struct {
	steps, scheduled, prompt, generated int64
	paused, drafted, accepted           int64
	latencyMs                           float64
	blocks, tokensPerBlock              int64 // of the KV cache; 0 = not told

	last   int64 // number of the last step
	begun  bool
	broken bool // a step was missed: no sum is right any more
}

// iteration is one step, as far as it matters here. Numbers stand where the C++
// runtime's own serialisation has them.
type iteration struct {
	Iter      int64   `json:"iter"`
	LatencyMs float64 `json:"iterLatencyMS"`
	Batch     *struct {
		Scheduled     int64 `json:"numScheduledRequests"`
		Generating    int64 `json:"numGenRequests"`
		Paused        int64 `json:"numPausedRequests"`
		ContextTokens int64 `json:"numCtxTokens"`
	} `json:"inflightBatchingStats"`
	Cache *struct {
		Blocks         int64 `json:"maxNumBlocks"`
		TokensPerBlock int64 `json:"tokensPerBlock"`
	} `json:"kvCacheStats"`
	Speculation *struct {
		Drafted  int64 `json:"numDraftTokens"`
		Accepted int64 `json:"numAcceptedTokens"`
	} `json:"specDecodingStats"`
}

// readLimit bounds a reading. There are versions that hand over five steps a second:
// what they owe after a long Run would take minutes.
const readLimit = 8 * time.Second

var errTooSlow = errors.New("the server's statistics took too long")

// read empties the queue and returns the sums so far.
func (s *statistics) read(ctx context.Context, server *openaiserver.Server) (sdk.Counters, []sdk.Warning, error) {
	if !server.Settings.Bool("iteration_stats", false) || s.broken {
		return s.counters(server), nil, nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, readLimit, errTooSlow)
	defer cancel()
	for {
		steps := 0
		err := server.Read(limited, "/metrics", func(body io.Reader) error {
			return each(body, func(i iteration) {
				steps++
				s.add(i)
			})
		})
		switch {
		case errors.Is(context.Cause(limited), errTooSlow):
			return s.lost(server, fmt.Sprintf("it did not hand all of them over within %v", readLimit))
		case err != nil:
			return sdk.Counters{}, nil, err
		case s.broken:
			return s.lost(server, fmt.Sprintf("after step %d another than the next one was told", s.last))
		case steps == 0:
			return s.counters(server), nil, nil
		}
	}
}

// lost gives the engine's counters up for the rest of the load.
func (s *statistics) lost(server *openaiserver.Server, why string) (sdk.Counters, []sdk.Warning, error) {
	s.broken = true
	w := sdk.Warning{
		Code: "iteration_statistics_lost", KeyPath: "iteration_stats",
		Message: "the server's statistics of its steps are incomplete: " + why + "; the engine's counters are unknown from here on",
	}
	serve.Logger().Warn(w.Message, "code", w.Code)
	return s.counters(server), []sdk.Warning{w}, nil
}

// each decodes a list step by step: after a long Run it has a hundred megabytes.
func each(body io.Reader, tell func(iteration)) error {
	decoder := json.NewDecoder(body)
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return fmt.Errorf("it is no list of steps, but begins with %v (%w)", token, orUnexpected(err))
	}
	for decoder.More() {
		var i iteration
		if err := decoder.Decode(&i); err != nil {
			return err
		}
		tell(i)
	}
	_, err := decoder.Token()
	return err
}

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("another value")
	}
	return err
}

func (s *statistics) add(i iteration) {
	// Steps of pipeline stages may share a number.
	if s.begun && i.Iter != s.last && i.Iter != s.last+1 {
		s.broken = true
	}
	s.begun = true
	if !s.broken {
		s.last = i.Iter
	}
	if i.Cache != nil {
		s.blocks, s.tokensPerBlock = i.Cache.Blocks, i.Cache.TokensPerBlock
	}
	if i.Batch == nil || i.Batch.Scheduled == 0 {
		return // a round in which there was nothing to do
	}
	s.steps++
	s.latencyMs += i.LatencyMs
	s.scheduled += i.Batch.Scheduled
	s.generated += i.Batch.Generating
	s.prompt += i.Batch.ContextTokens
	s.paused += i.Batch.Paused
	if i.Speculation != nil {
		s.drafted += i.Speculation.Drafted
		s.accepted += i.Speculation.Accepted
	}
}

// counters are the sums. The engine does not count the tokens that it has put out,
// nor those that it took from its cache: each answer does.
func (s *statistics) counters(server *openaiserver.Server) sdk.Counters {
	c := sdk.Counters{MonoNs: sdk.MonoNow()}
	if !server.Settings.Bool("iteration_stats", false) || s.broken || !s.begun {
		return c
	}
	count := func(n int64) *int64 { return &n }
	c.EngineSteps, c.Preemptions = count(s.steps), count(s.paused)
	// Where blocks are reused, those are left out or not.
	if server.PID != 0 && !server.Settings.Bool("block_reuse", true) {
		c.PromptTokens = count(s.prompt)
	}
	if _, speculative := server.Settings["speculative_config"]; speculative || s.drafted > 0 {
		c.SpecAccepted = count(s.accepted)
	} else {
		c.ScheduledTokens = count(s.prompt + s.generated)
	}
	if s.steps > 0 {
		mean := float64(s.scheduled) / float64(s.steps)
		c.RunningMean = &mean
	}
	c.Named = []sdk.NamedMetric{{Name: "iterLatencyMS_sum", Unit: "ms", Value: s.latencyMs}}
	if s.drafted > 0 {
		c.Named = append(c.Named, sdk.NamedMetric{Name: "numDraftTokens_sum", Unit: "tokens", Value: float64(s.drafted)})
	}
	return c
}
