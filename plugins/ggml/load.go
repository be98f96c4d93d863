package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/plugins/ggml/internal/engine"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// Load implements sdk.Backend.
func (b *backend) Load(ctx context.Context, req sdk.LoadRequest, progress *sdk.Progress) (sdk.LoadReport, error) {
	s, found := settle(req.Cell)
	for _, d := range found {
		if d.Severity == sdk.SeverityError {
			return sdk.LoadReport{}, &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: d.KeyPath, Message: d.Message, Advice: d.Advice}
		}
	}
	path, digest, err := s.file(ctx, req.CacheDir, progress)
	if err != nil {
		return sdk.LoadReport{}, err
	}
	facts, err := engine.Inspect(path)
	if err != nil {
		return sdk.LoadReport{}, &sdk.Error{Code: sdk.ModelMissing, KeyPath: "model.path", Message: err.Error()}
	}
	if problems := s.problems(facts); len(problems) > 0 {
		d := problems[0]
		return sdk.LoadReport{}, &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: d.KeyPath, Message: d.Message, Advice: d.Advice}
	}
	simd := engine.NewSIMDLog(serve.Logger().Handler())
	slog.SetDefault(slog.New(simd))
	loaded, err := open(ctx, path, s.options, progress)
	if err != nil {
		return sdk.LoadReport{}, loadError(err, facts, s.options)
	}
	b.engine = loaded
	return report(loaded, s, req.Cell.Model.ID, digest, simd.Features()), nil
}

// file returns the weights' file with its digest. Random weights are written
// unless they are there already.
func (s *settings) file(ctx context.Context, cacheDir string, progress *sdk.Progress) (path, digest string, err error) {
	if s.path != "" {
		defer progress.Begin(sdk.StageWeights, "identifying "+s.path)()
		digest, err := digestOf(ctx, s.path)
		if err != nil {
			code := sdk.ModelMissing
			if errors.Is(err, fs.ErrPermission) {
				code = sdk.Permission
			}
			return "", "", &sdk.Error{Code: code, KeyPath: "model.path", Message: err.Error(), Advice: "name a readable GGUF file"}
		}
		return s.path, digest, nil
	}
	dir := filepath.Join(cacheDir, "ggml")
	if cacheDir == "" {
		if dir, err = dummy.CacheDir(); err != nil {
			return "", "", err
		}
	}
	defer progress.Begin(sdk.StageBuild, fmt.Sprintf("random weights of type %s", s.weights))()
	file, err := dummy.Ensure(dir, s.shape, s.weights, weightSeed)
	return file.Path, file.SHA256, err
}

// digestOf is the SHA-256 of a file.
func digestOf(ctx context.Context, path string) (string, error) {
	h := sha256.New()
	if err := sdk.HashContent(ctx, h, path); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// open loads the model and tells each percent once.
func open(ctx context.Context, path string, o engine.Options, progress *sdk.Progress) (*engine.Engine, error) {
	defer progress.Begin(sdk.StageWeights, "loading "+path)()
	var told atomic.Int64
	return engine.Open(ctx, path, o, func(share float32) {
		percent := int64(100 * share)
		if before := told.Load(); percent > before && percent <= 100 && told.CompareAndSwap(before, percent) {
			progress.Report(sdk.StageWeights, float64(percent)/100, "")
		}
	})
}

func loadError(err error, f engine.Facts, o engine.Options) error {
	if !errors.Is(err, engine.ErrNoMemory) {
		return err
	}
	numbers := map[string]int64{"wanted_bytes": f.WeightBytes + o.KVCells()*f.KVBytesPerToken(o.KVType)}
	if free, known := availableBytes(memInfoPath); known {
		numbers["free_bytes"] = free
	}
	return &sdk.Error{
		Code: sdk.OutOfMemory, Message: err.Error(), Numbers: numbers,
		Advice: "lower batch_size or context, or use smaller weights",
	}
}

// Unload implements sdk.Backend.
func (b *backend) Unload(context.Context) error {
	if b.engine == nil {
		return nil
	}
	defer func() { b.engine = nil }()
	return b.engine.Close()
}

// Tokenize implements sdk.Tokenizer.
func (b *backend) Tokenize(ctx context.Context, texts []string) ([][]uint32, error) {
	lists := make([][]uint32, len(texts))
	for i, text := range texts {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var err error
		if lists[i], err = b.engine.Tokenize(text); err != nil {
			return nil, fmt.Errorf("text %d of %d: %w", i+1, len(texts), err)
		}
	}
	return lists, nil
}

// Counters implements sdk.Counting. The engine knows no prefix cache, evicts
// no sequence and computes no padding, so these are 0 rather than unknown.
func (b *backend) Counters(context.Context) (sdk.Counters, error) {
	c := b.engine.Counts()
	return sdk.Counters{
		EngineSteps: &c.Steps, PromptTokens: &c.PromptTokens, OutputTokens: &c.OutputTokens,
		ScheduledTokens: &c.ScheduledTokens, RunningMean: &c.RunningMean,
		CachedPromptTokens: new(int64), Preemptions: new(int64), PaddingTokens: new(int64),
	}, nil
}
