package result

// RegimeCooldown is Trial.Regime of a trial that began cold.
const RegimeCooldown = "cooldown"

// Cooldown is the idle time before the measured Run in the cooldown regime.
type Cooldown struct {
	FromNs int64 `json:"from_ns"`
	ToNs   int64 `json:"to_ns"`
	// StartC and EndC are temperatures before the load and after the cooldown, of
	// the GPU that is most above its own start; nil = not known.
	StartC *float64 `json:"start_c,omitempty"`
	EndC   *float64 `json:"end_c,omitempty"`
	// Cooled: no GPU was more than 1 °C above its start. Where that is false, or
	// not known, the whole of protocol.cooldown_s has passed.
	Cooled bool   `json:"cooled"`
	Reason string `json:"reason"`
	// TemperatureUnknown are the GPUs that did not tell theirs.
	TemperatureUnknown []string `json:"temperature_unknown,omitempty"`
}
