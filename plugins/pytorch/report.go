package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// loaded is the worker's report of a load.
type loaded struct {
	Packages []sdk.Package `json:"packages"`
	Resolved sdk.Table     `json:"resolved"`
	Warnings []struct {
		Code, Message, Key string
	} `json:"warnings"`
	Devices []struct {
		ID, Kind string
		Rank     uint32
		PID      int64
	} `json:"devices"`
	Details map[string]string `json:"details"`
	Model   struct {
		Revision     string  `json:"revision"`
		Architecture string  `json:"architecture"`
		Parameters   int64   `json:"parameters"`
		Layers       *uint32 `json:"layers"`
		Heads        *uint32 `json:"heads"`
		KVHeads      *uint32 `json:"kv_heads"`
		Vocab        *uint32 `json:"vocab"`
		WeightType   string  `json:"weight_type"`
		Context      int64   `json:"context"`
	} `json:"model"`
}

// ofRanks is the report of all ranks: what the first one says, the devices of
// each, and where the details differ, those of each.
func ofRanks(ranks []loaded) loaded {
	all := ranks[0]
	for key, first := range all.Details {
		var each []string
		same := true
		for rank, l := range ranks {
			each = append(each, fmt.Sprintf("rank %d: %s", rank, l.Details[key]))
			same = same && l.Details[key] == first
		}
		if !same {
			all.Details[key] = strings.Join(each, "; ")
		}
	}
	for _, l := range ranks[1:] {
		all.Devices = append(all.Devices, l.Devices...)
	}
	return all
}

// dormantParameter warns of what was asked for and is not in use.
const dormantParameter = "dormant_parameter"

// report tells what was loaded: the parameters as the worker read them back. As they
// were given are those that have no effect without another one, of which the check
// tells, the modes of torch.compile, which it keeps to itself, and the table extra but
// for what the worker found missing.
func (s *settings) report(l loaded, python, digest string) sdk.LoadReport {
	r := sdk.LoadReport{
		Engine: "transformers", Packages: l.Packages, Resolved: sdk.Table{}, Edge: sdk.EdgeDeviceSync, MaxCancelMs: maxCancelMs,
		Model: s.identity(l, digest),
	}
	for _, p := range parameters() {
		if p.Default != nil {
			r.Resolved[p.Key] = p.Default
		}
	}
	maps.Copy(r.Resolved, s.parameters)
	for key, value := range l.Resolved {
		if value != nil {
			r.Resolved[key] = integer(value)
		}
	}
	r.Resolved["python"] = python
	for _, p := range l.Packages {
		if p.Name == "transformers" {
			r.EngineVersion = p.Version
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Details)) {
		r.Packages = append(r.Packages, sdk.Package{Name: name, Version: l.Details[name]})
	}
	for _, d := range l.Devices {
		r.Devices = append(r.Devices, sdk.DeviceUse{ID: d.ID, Kind: d.Kind, Rank: d.Rank, PID: d.PID})
	}
	extra := maps.Clone(s.parameters.Table("extra"))
	for _, w := range l.Warnings {
		if key, ok := strings.CutPrefix(w.Key, "extra."); ok && w.Code == dormantParameter {
			delete(extra, key)
			r.Resolved["extra"] = extra
		}
		r.Warnings = append(r.Warnings, sdk.Warning{Code: w.Code, Message: w.Message, KeyPath: w.Key})
	}
	if s.parameters.Bool("trust_remote_code", false) {
		r.Warnings = append(r.Warnings, sdk.Warning{
			Code: "remote_code", KeyPath: "trust_remote_code", Message: "Python code that came with the model was allowed to run",
		})
	}
	return r
}

// integer gives numbers of JSON back their type: the worker reports no fractions.
func integer(value any) any {
	if f, ok := value.(float64); ok {
		return int64(f)
	}
	return value
}

// identity says which model it is. Random weights of one architecture are one
// model in every number format: what they are does not change speed or energy.
func (s *settings) identity(l loaded, digest string) sdk.ModelIdentity {
	m := sdk.ModelIdentity{
		Revision: l.Model.Revision, ArtifactDigest: digest,
		Layers: l.Model.Layers, Heads: l.Model.Heads, KVHeads: l.Model.KVHeads, Vocab: l.Model.Vocab,
		WeightType: l.Model.WeightType, RandomWeights: s.random(),
	}
	if scheme, ok := l.Resolved["quantization"].(string); ok && scheme != unquantised {
		m.Quantisation = scheme
	}
	if l.Model.Parameters > 0 {
		m.Parameters = &l.Model.Parameters
	}
	switch {
	case s.random():
		m.Base = s.name() + ", random weights" // as every backend calls it
	case s.model.Path == "":
		m.Base = s.model.ID
		if l.Model.Revision != "" {
			m.Base += "@" + l.Model.Revision
		}
	default:
		m.Base = fmt.Sprintf("%s (%d parameters)", l.Model.Architecture, l.Model.Parameters)
		if digest != "" {
			m.Base = digest
		}
	}
	return m
}
