package study

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
)

// Identify gives the cell its ID and the Definition behind it. skip names the
// keys of its plugin's table that are no part of the measurement, by dotted
// path: only the plugin's schema knows them. A nil skip leaves none out, as
// Expand does.
func (c *Cell) Identify(skip func(path string) bool) {
	c.Definition = definition(c, measured("", c.Parameters, skip))
	sum := sha256.Sum256([]byte(c.Definition))
	c.ID = hex.EncodeToString(sum[:6])
}

// measured is a copy of a table without what skip names.
func measured(prefix string, table map[string]any, skip func(path string) bool) map[string]any {
	kept := make(map[string]any, len(table))
	for key, value := range table {
		path := prefix + key
		if skip != nil && skip(path) {
			continue
		}
		if inner := asMap(value); inner != nil {
			value = measured(path+".", inner, skip)
		}
		kept[key] = value
	}
	return kept
}

// definition is the canonical text of what a cell measures: keys sorted,
// numbers in one form, without names, paths of this machine and settings of
// the execution.
func definition(c *Cell, parameters map[string]any) string {
	model := c.Model
	if model.Path != "" {
		model.Path = filepath.Base(model.Path)
	}
	p := c.Protocol
	protocol := map[string]any{
		"warmup": p.Warmup, "idle_s": p.IdleS, "conditioning_s": p.ConditioningS, "window_s": p.WindowS, "regime": p.Regime,
	}
	if p.Regime == RegimeCooldown { // ids of the hot regime stay as they were
		protocol["cooldown_s"] = p.CooldownS
	}
	return canonicalText(map[string]any{
		"plugin": c.Plugin, "version": c.Version, "parameters": parameters, "model": model, "workload": c.Workload, "load": c.Load,
		"protocol": protocol,
	})
}

// canonicalText encodes a value so that equal values give equal texts: keys
// are sorted, 1 and 1.0 are the same number, integers keep all their digits.
func canonicalText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("study: a checked value does not encode: " + err.Error())
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var loose any
	if err := decoder.Decode(&loose); err != nil {
		panic("study: encoded text does not decode: " + err.Error())
	}
	if text, err = json.Marshal(positiveZero(loose)); err != nil {
		panic("study: a checked value does not encode: " + err.Error())
	}
	return string(text)
}

// positiveZero turns -0 into the 0 that it equals.
func positiveZero(v any) any {
	switch x := v.(type) {
	case json.Number:
		if x == "-0" {
			return json.Number("0")
		}
	case []any:
		for i := range x {
			x[i] = positiveZero(x[i])
		}
	case map[string]any:
		for key := range x {
			x[key] = positiveZero(x[key])
		}
	}
	return v
}
