package loadgen

import (
	"fmt"
	"testing"
)

// TestTokensOfEvents reads answers as servers wrote them and wants the tokens that
// each event brought.
func TestTokensOfEvents(t *testing.T) {
	for name, c := range map[string]struct {
		dialect Dialect
		events  []string
		chunks  string // tokens of each
		ids     int
	}{
		"llama.cpp with half a character held back": {LlamaCppNative(), []string{
			`{"content":"a","tokens":[5],"tokens_predicted":1}`,
			`{"content":"�b","tokens":[6],"tokens_predicted":3}`,
			`{"content":"","tokens":[],"stop":true,"stop_type":"limit","tokens_predicted":4}`,
		}, "[1 2 1]", 2},
		"llama.cpp with nothing but half a character": {LlamaCppNative(), []string{
			`{"content":"","tokens":[],"stop":true,"stop_type":"limit","tokens_predicted":2}`,
		}, "[2]", 0},
		"llama.cpp with output that nobody was shown": {LlamaCppNative(), []string{
			`{"content":"","tokens":[],"stop":true,"stop_type":"limit","tokens_predicted":9}`,
		}, "[]", 0},
		"SGLang with all ids in each event": {SGLangNative(), []string{
			`{"text":"a","output_ids":[5],"meta_info":{"completion_tokens":1}}`,
			`{"text":"ab","output_ids":[5,6],"meta_info":{"completion_tokens":2}}`,
			`{"text":"abcd","output_ids":[5,6,7,8],"meta_info":{"completion_tokens":4,"finish_reason":{"type":"length"}}}`,
		}, "[1 1 2]", 4},
		"SGLang with an attached server's new ids alone": {SGLangNative(), []string{
			`{"text":"a","output_ids":[5],"meta_info":{"completion_tokens":1}}`,
			`{"text":"b","output_ids":[6],"meta_info":{"completion_tokens":2}}`,
			`{"text":"cd","output_ids":[7,8],"meta_info":{"completion_tokens":4,"finish_reason":{"type":"length"}}}`,
		}, "[1 1 2]", -1},
		"vLLM with a usage in each event": {VLLM(), []string{
			`{"choices":[{"text":"","token_ids":[5],"finish_reason":null}],"usage":{"completion_tokens":1}}`,
			`{"choices":[{"text":"ab","token_ids":[6,7],"finish_reason":"length"}],"usage":{"completion_tokens":3}}`,
			`{"choices":[],"usage":{"completion_tokens":3}}`,
		}, "[1 2]", 3},
		"a usage at the end alone": {VLLM(), []string{
			`{"choices":[{"text":"a","finish_reason":null}],"usage":null}`,
			`{"choices":[{"text":"b","finish_reason":"length"}],"usage":null}`,
			`{"choices":[],"usage":{"completion_tokens":4}}`,
		}, "[1 1]", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var a answer
			g := &grammar{root: c.dialect.tree(), cumulative: c.dialect.Cumulative}
			for i, event := range c.events {
				a.event([]byte(event), int64(i+1), g)
			}
			got := []uint32{}
			for _, chunk := range a.chunks {
				got = append(got, chunk.Tokens)
			}
			if fmt.Sprint(got) != c.chunks || c.ids >= 0 && len(a.ids) != c.ids || a.broken != 0 {
				t.Errorf("chunks %v, want %s; ids %v, want %d", got, c.chunks, a.ids, c.ids)
			}
		})
	}
}
