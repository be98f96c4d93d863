package study

import "fmt"

// Thermal regimes. A study has one, and results of different ones are never
// compared: a cold device leaks less.
const (
	// RegimeHot measures under load at steady temperature, as in serving.
	RegimeHot = "hot"
	// RegimeCooldown idles before each measured Run and measures from its first
	// pass on, without conditioning.
	RegimeCooldown = "cooldown"
)

// defaultCooldownS is protocol.cooldown_s where the file gives none.
const defaultCooldownS = 60

// regime fills in the times of the cooldown regime, and refuses keys that the
// study's regime does not act on.
func (r *reader) regime() {
	p := &r.study.Protocol
	if p.Regime != RegimeCooldown {
		if r.given["protocol.cooldown_s"] {
			r.fail("protocol.cooldown_s", `only the regime "cooldown" has one`, `write regime = "cooldown" under [protocol], or take it out`)
		}
		return
	}
	if !r.given["protocol.cooldown_s"] {
		p.CooldownS = defaultCooldownS
	}
	if r.given["protocol.conditioning_s"] {
		r.fail("protocol.conditioning_s", `the regime "cooldown" has no conditioning`, "take it out: windows begin with the first pass")
	}
	p.ConditioningS = 0
	if p.Windows > 1 {
		r.fail("protocol.windows", fmt.Sprintf(`%d: the regime "cooldown" has one window a load, since a second one would begin hot`, p.Windows), "take it out and raise cycles")
	}
	if p.Order == "grouped" {
		r.fail("protocol.order", `"grouped" measures all cycles in one load, and all but the first would begin hot`, `write order = "randomised"`)
	}
}
