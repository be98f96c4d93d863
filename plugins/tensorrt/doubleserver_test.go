package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// statsWait is how long the double's /metrics waits for another step; the real one
// waits two seconds.
const statsWait = 150 * time.Millisecond

// doubleServer generates a token of each request in each step of a millisecond, and
// queues a statistic of each step.
type doubleServer struct {
	*double
	mu     sync.Mutex
	active []*generation
	stats  []map[string]any
	step   int
	steps  chan struct{} // has one when a step was queued
}

// generation is one request.
type generation struct {
	request completionRequest
	made    int
	tokens  chan int
	gone    <-chan struct{}
}

// completionRequest has all members that CompletionRequest has; another is refused.
type completionRequest struct {
	Model            *string  `json:"model"`
	Prompt           []uint32 `json:"prompt"` // of the four forms, the one that is sent
	BestOf           *int     `json:"best_of"`
	Echo             *bool    `json:"echo"`
	FrequencyPenalty *float64 `json:"frequency_penalty"`
	LogitBias        any      `json:"logit_bias"`
	Logprobs         *int     `json:"logprobs"`
	MaxTokens        *int     `json:"max_tokens"`
	N                *int     `json:"n"`
	PresencePenalty  *float64 `json:"presence_penalty"`
	Seed             *int64   `json:"seed"`
	Stop             any      `json:"stop"`
	Stream           bool     `json:"stream"`
	StreamOptions    *struct {
		IncludeUsage         *bool `json:"include_usage"`
		ContinuousUsageStats *bool `json:"continuous_usage_stats"`
	} `json:"stream_options"`
	Suffix                     *string  `json:"suffix"`
	Temperature                *float64 `json:"temperature"`
	TopP                       *float64 `json:"top_p"`
	User                       *string  `json:"user"`
	LoraRequest                any      `json:"lora_request"`
	PromptIgnoreLength         *int     `json:"prompt_ignore_length"`
	UseBeamSearch              bool     `json:"use_beam_search"`
	TopK                       int      `json:"top_k"`
	TopPMin                    float64  `json:"top_p_min"`
	MinP                       float64  `json:"min_p"`
	RepetitionPenalty          float64  `json:"repetition_penalty"`
	LengthPenalty              float64  `json:"length_penalty"`
	EarlyStopping              bool     `json:"early_stopping"`
	StopTokenIDs               []int    `json:"stop_token_ids"`
	IncludeStopStr             bool     `json:"include_stop_str_in_output"`
	IgnoreEOS                  bool     `json:"ignore_eos"`
	MinTokens                  int      `json:"min_tokens"`
	SkipSpecialTokens          bool     `json:"skip_special_tokens"`
	SpacesBetweenSpecialTokens bool     `json:"spaces_between_special_tokens"`
	TruncatePromptTokens       *int     `json:"truncate_prompt_tokens"`
	ReturnContextLogits        bool     `json:"return_context_logits"`
	Detokenize                 *bool    `json:"detokenize"`
	AddSpecialTokens           *bool    `json:"add_special_tokens"`
	ResponseFormat             any      `json:"response_format"`
	DisaggregatedParams        any      `json:"disaggregated_params"`
}

// validate refuses what the model of the request refuses.
func (q *completionRequest) validate() error {
	switch {
	case q.Model == nil:
		return errors.New("[{'type': 'missing', 'loc': ('body', 'model'), 'msg': 'Field required'}]")
	case len(q.Prompt) == 0:
		return errors.New("[{'type': 'missing', 'loc': ('body', 'prompt'), 'msg': 'Field required'}]")
	case q.StreamOptions != nil && !q.Stream:
		return errors.New("[{'type': 'value_error', 'loc': ('body',), 'msg': 'Value error, Stream options can only be defined when stream is true.'}]")
	case q.Suffix != nil && *q.Suffix != "":
		return errors.New("[{'type': 'value_error', 'loc': ('body',), 'msg': 'Value error, suffix is not supported'}]")
	}
	return nil
}

func newDoubleServer(d *double) *doubleServer {
	return &doubleServer{double: d, steps: make(chan struct{}, 1)}
}

func (s *doubleServer) serve(listener net.Listener) error {
	go s.work()
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, value any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
	}
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]any{"version": "1.2.1"}) })
	mux.HandleFunc("GET /server_info", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"disaggregated_params": nil})
	})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"object": "list", "data": []any{map[string]any{"id": s.name(), "object": "model", "owned_by": "tensorrt_llm"}}})
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, s.drain()) })
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		var q completionRequest
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&q)
		if err == nil {
			err = q.validate()
		}
		if err != nil {
			answer(w, 400, map[string]any{"error": err.Error()})
			return
		}
		if len(q.Prompt) > 8192 {
			answer(w, 400, map[string]any{"object": "error", "message": "The sum of prompt length should not exceed max_num_tokens", "type": "BadRequestError", "param": nil, "code": 400})
			return
		}
		s.stream(w, r, q)
	})
	return http.Serve(listener, mux)
}

// stream answers as the server's own post-processor of streamed completions.
func (s *doubleServer) stream(w http.ResponseWriter, r *http.Request, q completionRequest) {
	if s.manners == "dies mid-stream" && *q.MaxTokens > 2 {
		defer func() {
			fmt.Fprintln(os.Stderr, "[TRT-LLM] [E] Event loop error: CUDA error: an illegal memory access was encountered")
			os.Exit(0)
		}()
	}
	g := &generation{request: q, tokens: make(chan int, *q.MaxTokens), gone: r.Context().Done()}
	s.mu.Lock()
	s.active = append(s.active, g)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(choices []any, usage any) {
		text, _ := json.Marshal(map[string]any{"id": "cmpl-1", "object": "text_completion", "created": 1, "model": *q.Model, "choices": choices, "usage": usage})
		_, _ = io.WriteString(w, "data: "+string(text)+"\n\n")
		w.(http.Flusher).Flush()
	}
	detokenize := q.Detokenize == nil || *q.Detokenize
	made := 0
	for token := range g.tokens {
		made++
		choice := map[string]any{"index": 0, "text": "", "token_ids": []int{token}, "logprobs": nil, "finish_reason": nil, "stop_reason": nil, "avg_decoded_tokens_per_iter": nil}
		if detokenize {
			choice["text"], choice["token_ids"] = " t", nil
		}
		if made == *q.MaxTokens {
			choice["finish_reason"] = "length"
		}
		event([]any{choice}, nil)
		if s.manners == "dies mid-stream" && made == 3 {
			return
		}
	}
	if made < *q.MaxTokens {
		return // the client is gone
	}
	if q.StreamOptions != nil && (q.StreamOptions.IncludeUsage == nil || *q.StreamOptions.IncludeUsage) {
		event([]any{}, map[string]any{"prompt_tokens": len(q.Prompt), "total_tokens": len(q.Prompt) + made, "completion_tokens": made, "prompt_tokens_details": map[string]any{"cached_tokens": 0}})
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

// work takes a step each millisecond while there are requests.
func (s *doubleServer) work() {
	for range time.Tick(time.Millisecond) {
		s.mu.Lock()
		if len(s.active) > 0 {
			s.takeStep()
		}
		s.mu.Unlock()
	}
}

func (s *doubleServer) takeStep() {
	contexts, contextTokens, scheduled := 0, 0, len(s.active)
	var left []*generation
	for _, g := range s.active {
		select {
		case <-g.gone:
			close(g.tokens)
			continue
		default:
		}
		if g.made == 0 {
			contexts++
			contextTokens += len(g.request.Prompt)
		}
		g.tokens <- int(g.request.Prompt[0]) + g.made
		if g.made++; g.made == *g.request.MaxTokens {
			close(g.tokens)
			continue
		}
		left = append(left, g)
	}
	s.active = left
	s.step++
	counted, _ := s.options["enable_iter_perf_stats"].(bool)
	if !counted && s.flags["--backend"] == pytorch || s.manners == "loses steps" && s.step%5 == 0 {
		return
	}
	s.stats = append(s.stats, map[string]any{
		"iter": s.step, "iterLatencyMS": 1.0, "numActiveRequests": scheduled, "gpuMemUsage": 0, "cpuMemUsage": 0,
		"inflightBatchingStats": map[string]any{
			"numScheduledRequests": scheduled, "numContextRequests": contexts, "numGenRequests": scheduled - contexts, "numPausedRequests": 0,
			"numCtxTokens": contextTokens, "microBatchId": 0, "avgNumDecodedTokensPerIter": 0.0,
		},
		"kvCacheStats":      map[string]any{"maxNumBlocks": 1024, "freeNumBlocks": 1000, "usedNumBlocks": 24, "tokensPerBlock": 32, "reusedBlocks": 0},
		"specDecodingStats": nil,
	})
	if most, ok := s.options["iter_stats_max_iterations"].(float64); len(s.stats) > 1000 && (!ok || len(s.stats) > int(most)) {
		s.stats = s.stats[1:]
	}
	select {
	case s.steps <- struct{}{}:
	default:
	}
}

// drain hands the queue over once no step has come for a while. One that is slow
// hands over none in time.
func (s *doubleServer) drain() []map[string]any {
	if s.manners == "slow statistics" && s.queued() > 1000 {
		select {}
	}
	for waiting := true; waiting; {
		select {
		case <-s.steps:
		case <-time.After(statsWait):
			waiting = false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	s.stats = nil
	if stats == nil {
		stats = []map[string]any{}
	}
	return stats
}

func (s *doubleServer) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.stats)
}

// doublePython is a Python with TensorRT-LLM: it runs the server's module and
// the plugin's script of builds.
func doublePython(args []string) int {
	switch {
	case len(args) > 2 && args[0] == "-m" && args[1] == "tensorrt_llm.commands.serve" && args[2] == "serve":
		return serveDouble(args[3:])
	case len(args) == 2 && args[1] == "identify":
		fmt.Println(`{"tensorrt_llm": "1.2.1", "tensorrt": "10.13.3"}`)
		return 0
	case len(args) == 4 && args[1] == "build":
		return buildDouble(args[2], args[3])
	}
	fmt.Fprintln(os.Stderr, "python: "+strings.Join(args, " "))
	return 2
}

func buildDouble(spec, into string) int {
	text, err := os.ReadFile(spec)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv("DOUBLE") == "build fails" {
		fmt.Fprintln(os.Stderr, "RuntimeError: Failed to build TensorRT engine: no kernel for this layer")
		return 1
	}
	config := fmt.Sprintf(`{"pretrained_config": {}, "build_config": {}, "spec": %s}`, text)
	if err := os.WriteFile(into+"/config.json", []byte(config), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
