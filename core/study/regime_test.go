package study

import (
	"errors"
	"slices"
	"testing"
)

func TestRegimes(t *testing.T) {
	parse := func(text string) *Study {
		s, err := Parse("x.toml", []byte(head+text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ids := map[string]string{}
	for _, c := range []struct {
		text, regime             string
		conditioningS, cooldownS float64
	}{
		{"", RegimeHot, 60, 0},
		{"[protocol]\nregime = \"hot\"", RegimeHot, 60, 0},
		{"[protocol]\nregime = \"cooldown\"", RegimeCooldown, 0, 60},
		{"[protocol]\nregime = \"cooldown\"\ncooldown_s = 5", RegimeCooldown, 0, 5},
	} {
		s := parse(c.text)
		p := s.Protocol
		if p.Regime != c.regime || p.ConditioningS != c.conditioningS || p.CooldownS != c.cooldownS {
			t.Errorf("%q: %+v", c.text, p)
		}
		for cell := range s.Cells() {
			ids[cell.ID] = c.text
		}
		if err := s.UseProfile("quick"); err != nil || (s.Protocol.ConditioningS == 0) != (c.regime == RegimeCooldown) {
			t.Errorf("%q with another profile: %+v, %v", c.text, s.Protocol, err)
		}
	}
	if len(ids) != 3 {
		t.Errorf("three protocols make %d cells", len(ids))
	}
}

// A key that the regime does not act on is refused.
func TestKeysOfTheOtherRegime(t *testing.T) {
	const cold = "[protocol]\nregime = \"cooldown\"\n"
	for text, key := range map[string]string{
		"[protocol]\ncooldown_s = 5":    "protocol.cooldown_s",
		cold + "conditioning_s = 5":     "protocol.conditioning_s",
		cold + "windows = 2":            "protocol.windows",
		cold + "order = \"grouped\"":    "protocol.order",
		cold + "cooldown_s = -1":        "protocol.cooldown_s",
		"[protocol]\nregime = \"warm\"": "protocol.regime",
	} {
		_, err := Parse("x.toml", []byte(head+text))
		var problems Problems
		if !errors.As(err, &problems) || !slices.ContainsFunc(problems, func(p Problem) bool { return p.Key == key }) || len(problems) != 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
}
