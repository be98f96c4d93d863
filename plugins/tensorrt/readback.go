package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

// readBack asks the server for its version, takes the size of its cache from the first
// steps, and looks up limits in its log: it has no route that tells its settings. What it does not say
// stays as it was told.
func (s *statistics) readBack(ctx context.Context, server *openaiserver.Server, report *sdk.LoadReport) error {
	var v struct {
		Version string `json:"version"`
	}
	if err := server.GetJSON(ctx, "/version", &v); err != nil {
		return err
	}
	report.EngineVersion = v.Version
	// What later versions may tell is kept in the trial's log.
	if text, err := server.Get(ctx, "/server_info"); err == nil {
		fmt.Fprintf(os.Stderr, "/server_info: %s\n", text)
	}
	if n := s.blocks * s.tokensPerBlock; n > 0 {
		report.KVCapacityTokens = &n
		report.Resolved["tokens_per_block"] = s.tokensPerBlock
	}
	fromLog(server.Log, report)
	fromModel(report)
	return nil
}

var (
	cacheLine = regexp.MustCompile(`for max tokens in paged KV cache \((\d+)\)`)
	limitLine = regexp.MustCompile(`max_seq_len=(\d+), max_num_requests=(\d+), max_num_tokens=(\d+)`)
)

// fromLog takes the last word of each kind: the cache is made twice, at first to see
// how much memory a step needs.
func fromLog(log []string, report *sdk.LoadReport) {
	for _, line := range log {
		if match := cacheLine.FindStringSubmatch(line); match != nil {
			if n, err := strconv.ParseInt(match[1], 10, 64); err == nil {
				report.KVCapacityTokens = &n
			}
		}
		if match := limitLine.FindStringSubmatch(line); match != nil {
			for i, key := range []string{"max_seq_len", "max_batch_size", "max_num_tokens"} {
				if n, err := strconv.ParseInt(match[i+1], 10, 64); err == nil && n > 0 {
					report.Resolved[key] = n
				}
			}
		}
	}
}

// fromModel reads the number format of a model in a directory; the kit has its shape.
func fromModel(report *sdk.LoadReport) {
	text, err := os.ReadFile(filepath.Join(report.Model.Base, "config.json"))
	if err != nil {
		return // a model of the hub: what it is, its revision says
	}
	var config struct {
		Dtype string `json:"torch_dtype"`
	}
	if json.Unmarshal(text, &config) == nil { // else the server has read it, and judges it
		report.Model.WeightType = config.Dtype
	}
}
