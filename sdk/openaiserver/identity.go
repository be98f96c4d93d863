package openaiserver

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// identify names the model as other backends do, or arms of one study would not be
// compared: random weights of one architecture are one model whatever they are, and a
// model of the hub is a commit of it. What the engine itself said is left.
//
// digest is that of a model's directory; "" = it has none.
func (b *backend) identify(report *sdk.LoadReport, model sdk.Model, digest string) {
	m := &report.Model
	switch {
	case digest != "" && m.Base == model.Path:
		m.Base, m.ArtifactDigest = digest, digest
	case m.Base != model.Path && m.Base != model.ID:
	case m.RandomWeights:
		m.Base += ", random weights"
	case model.Path == "":
		// An attached server's cache is its own.
		if b.process != nil {
			if commit := commitOf(hubModels(variables(b.settings)), model); commit != "" {
				m.Revision = commit
			}
		}
		if m.Revision != "" {
			m.Base += "@" + m.Revision
		}
	}
}

// startDigest hashes a model's directory while the server starts, and returns the
// function that waits for it. What is no such directory has no digest: whether it is
// a model at all, the engine says.
func (b *backend) startDigest(ctx context.Context, model sdk.Model) func() string {
	// An attached server may have loaded another one.
	if attached(b.settings) {
		return func() string { return "" }
	}
	if info, err := os.Stat(model.Path); model.Path == "" || model.Weights == sdk.WeightsDummy || err != nil || !info.IsDir() {
		return func() string { return "" }
	}
	done := make(chan string, 1)
	go func() {
		digest, err := sdk.ModelDigest(ctx, model.Path)
		if err != nil && ctx.Err() == nil {
			serve.Logger().Warn("the model is known by its path only: "+err.Error(), "path", model.Path)
		}
		done <- digest
	}()
	return func() string { return <-done }
}

var commitName = regexp.MustCompile(`^[0-9a-f]{40}$`)

// commitOf is the commit that the hub's cache has for the model's revision; "" = none.
func commitOf(models string, model sdk.Model) string {
	revision := model.Revision
	switch {
	case revision == "":
		revision = "main"
	case commitName.MatchString(revision):
		return revision
	}
	text, err := os.ReadFile(filepath.Join(models, "models--"+strings.ReplaceAll(model.ID, "/", "--"), "refs", filepath.FromSlash(revision)))
	if commit := strings.TrimSpace(string(text)); err == nil && commitName.MatchString(commit) {
		return commit
	}
	return ""
}

// hubModels is where the server has models of the hub; env are its own variables.
func hubModels(env []string) string {
	value := func(name string) string {
		for _, entry := range env {
			if text, found := strings.CutPrefix(entry, name+"="); found {
				return text
			}
		}
		return os.Getenv(name)
	}
	if dir := value("HF_HUB_CACHE"); dir != "" {
		return dir
	}
	if dir := value("HF_HOME"); dir != "" {
		return filepath.Join(dir, "hub")
	}
	return filepath.Join(hubCache(), "hub")
}
