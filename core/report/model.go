package report

import (
	"cmp"
	"fmt"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// identity is what arms of a comparison must share besides the boundary. The work
// is its hash, with the thermal regime behind it where that is not the hot one: a
// device that begins cold needs less. The model is its base, which all
// quantisations of it have in common; "" = unknown.
func identity(t result.Trial) (work, model string) {
	if t.Work != nil {
		work = t.Work.Hash
	}
	if t.Regime != "" {
		work += "/" + t.Regime
	}
	if t.Load != nil {
		m := t.Load.Report.Model
		model = cmp.Or(m.Base, m.Revision, m.ArtifactDigest)
	}
	return work, model
}

// models finds cells that must not be ranked for what is known of their models.
// Different cells may well have different artifacts, such as quantisations of
// one base; the trials of one cell may not.
func models(cells []Cell, warnings *warningList) {
	changed := map[string]string{}
	first := map[string]*loaded{}
	measured := 0
	for _, c := range cells {
		measured += 1 - empty(c)
		for _, t := range c.loads {
			if t.Load == nil {
				continue
			}
			if first[c.ID] == nil {
				first[c.ID] = &loaded{}
			}
			changed[c.ID] = cmp.Or(changed[c.ID], first[c.ID].differs(t.Load.Report.Model, t.Block))
		}
	}
	for i := range cells {
		c := &cells[i]
		switch text := changed[c.ID]; {
		case empty(*c) == 1:
		case text != "":
			c.modelDoubt = text
			warnings.add(Warning{Code: "model_changed", Severity: energy.SeverityWarning, Message: text}, c.Label)
		case c.Model == "" && measured > 1:
			c.modelDoubt = "the engine does not say which model it ran (base, revision or digest), so another cell's may be a different one"
			warnings.add(Warning{Code: "model_unknown", Severity: energy.SeverityWarning, Message: c.modelDoubt}, c.Label)
		}
	}
}

// loaded is what the loads of one cell said of the model so far, and in which
// block each was said first.
type loaded struct{ base, revision, digest said }

type said struct {
	text  string
	block int
}

// differs adds what a load says and names what it says otherwise than before;
// what it leaves out is no difference.
func (l *loaded) differs(m sdk.ModelIdentity, block int) string {
	for _, one := range []struct {
		what string
		at   *said
		text string
	}{{"base models", &l.base, m.Base}, {"revisions", &l.revision, m.Revision}, {"artifacts", &l.digest, m.ArtifactDigest}} {
		switch {
		case one.text == "":
		case one.at.text == "":
			*one.at = said{one.text, block}
		case one.at.text != one.text:
			return fmt.Sprintf("its trials loaded different %s: %s (block %d) and %s (block %d); run it again with one model",
				one.what, one.at.text, one.at.block+1, one.text, block+1)
		}
	}
	return ""
}
