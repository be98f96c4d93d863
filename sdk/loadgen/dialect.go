package loadgen

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Dialect describes how one server wants its requests and how its events are
// read. "OpenAI-compatible" is not one dialect: one server refuses fields that
// the next one needs. The functions below return ready ones, which may be
// changed.
type Dialect struct {
	// Path of the completions endpoint, such as /v1/completions.
	Path string
	// Names of the request's members; "" = the server has none and it is not
	// sent.
	Prompt      string // a list of token ids
	MaxTokens   string
	MinTokens   string // sent with exact lengths, equal to MaxTokens
	IgnoreEOS   string // true with exact lengths
	Temperature string
	TopP        string
	TopK        string
	TopKOff     int // what the server takes for "off"
	Seed        string
	// SamplingIn is the object that holds the members from MaxTokens on; "" =
	// they stand at the top.
	SamplingIn string
	// Extra members are sent with each request as they are.
	Extra map[string]any

	// Paths of what is read from an event, such as choices.0.text. "" = the
	// server does not say.
	Text         string
	IDs          string // a list of token ids
	Finish       string
	PromptTokens string
	OutputTokens string
	CachedTokens string
	Fault        string // a member that only an error event has
	// Cumulative: Text and IDs hold all that came so far.
	Cumulative bool
	// OneShot closes the connection after each answer. Some servers announce
	// that they keep it and close it all the same.
	OneShot bool
}

// openAI is what the servers below have in common.
func openAI() Dialect {
	return Dialect{
		Path: "/v1/completions", Prompt: "prompt", MaxTokens: "max_tokens", IgnoreEOS: "ignore_eos",
		Temperature: "temperature", TopP: "top_p", TopK: "top_k", Seed: "seed",
		Extra: map[string]any{"stream": true, "stream_options": map[string]any{"include_usage": true}},
		Text:  "choices.0.text", Finish: "choices.0.finish_reason",
		PromptTokens: "usage.prompt_tokens", OutputTokens: "usage.completion_tokens",
		CachedTokens: "usage.prompt_tokens_details.cached_tokens", Fault: "error",
	}
}

// VLLM is the dialect of vLLM >= 0.10: token ids in every event.
func VLLM() Dialect {
	d := openAI()
	d.MinTokens, d.IDs = "min_tokens", "choices.0.token_ids"
	d.Extra["return_token_ids"] = true
	return d
}

// SGLang is the dialect of SGLang's completions endpoint. It may put several
// tokens in one event and returns no ids there.
func SGLang() Dialect {
	d := openAI()
	d.MinTokens, d.TopKOff = "min_tokens", -1
	return d
}

// SGLangNative is the dialect of SGLang's own /generate: cumulative ids.
func SGLangNative() Dialect {
	return Dialect{
		Path: "/generate", Prompt: "input_ids", SamplingIn: "sampling_params", MaxTokens: "max_new_tokens", MinTokens: "min_new_tokens",
		IgnoreEOS: "ignore_eos", Temperature: "temperature", TopP: "top_p", TopK: "top_k", TopKOff: -1,
		Extra: map[string]any{"stream": true},
		Text:  "text", IDs: "output_ids", Finish: "meta_info.finish_reason.type", PromptTokens: "meta_info.prompt_tokens",
		OutputTokens: "meta_info.completion_tokens", CachedTokens: "meta_info.cached_tokens", Fault: "error",
		Cumulative: true,
	}
}

// LlamaCpp is the dialect of llama.cpp's server, which closes each connection
// after a streamed answer although it announces to keep it. What its defaults
// would filter is switched off.
func LlamaCpp() Dialect {
	d := openAI()
	d.OneShot = true
	d.Extra["cache_prompt"] = false
	d.Extra["min_p"] = 0
	return d
}

// LlamaCppNative is the dialect of its own /completion, which returns ids.
func LlamaCppNative() Dialect {
	return Dialect{
		Path: "/completion", Prompt: "prompt", MaxTokens: "n_predict", IgnoreEOS: "ignore_eos",
		Temperature: "temperature", TopP: "top_p", TopK: "top_k", Seed: "seed",
		Extra: map[string]any{"stream": true, "return_tokens": true, "cache_prompt": false, "min_p": 0},
		Text:  "content", IDs: "tokens", Finish: "stop_type",
		PromptTokens: "tokens_evaluated", OutputTokens: "tokens_predicted", Fault: "error", OneShot: true,
	}
}

// TensorRT is the dialect of trtllm-serve, which refuses any field that it does not
// know. An answer has token ids or, with detokenize, text, never both. ignore_eos
// alone makes lengths exact: the PyTorch back end answers min_tokens with a write to
// the GPU for each request in each step.
func TensorRT() Dialect {
	d := openAI()
	d.IDs = "choices.0.token_ids"
	d.Extra["detokenize"] = false
	return d
}

// check refuses a dialect that cannot work.
func (d Dialect) check() error {
	switch {
	case !strings.HasPrefix(d.Path, "/"):
		return fmt.Errorf("dialect: the path %q does not begin with /", d.Path)
	case d.Prompt == "" || d.MaxTokens == "":
		return fmt.Errorf("dialect: the members for the prompt and for the number of tokens must be named")
	case d.Text == "" && d.IDs == "" && d.OutputTokens == "":
		return fmt.Errorf("dialect: nothing tells output apart; name Text, IDs or OutputTokens")
	}
	for _, path := range []string{d.Text, d.IDs, d.Finish, d.PromptTokens, d.OutputTokens, d.CachedTokens, d.Fault} {
		if path != "" && slices.Contains(strings.Split(path, "."), "") {
			return fmt.Errorf("dialect: the path %q has an empty part", path)
		}
	}
	if _, err := json.Marshal(d.Extra); err != nil {
		return fmt.Errorf("dialect: extra members: %w", err)
	}
	return nil
}

// tree is the dialect's paths as the scanner walks them.
func (d Dialect) tree() *node {
	root := &node{}
	root.add(d.Text, placeText)
	root.add(d.IDs, placeIDs)
	root.add(d.Finish, placeFinish)
	root.add(d.PromptTokens, placePromptTokens)
	root.add(d.OutputTokens, placeOutputTokens)
	root.add(d.CachedTokens, placeCachedTokens)
	root.add(d.Fault, placeFault)
	return root
}
