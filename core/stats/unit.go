package stats

import "strings"

// Direction says which way is better.
type Direction string

const (
	Lower  Direction = "lower"
	Higher Direction = "higher"
	// Neither is for numbers that are no merit, such as a count or a temperature.
	Neither Direction = "neither"
)

// directions is the table of units: the unit knows that lower J/token is better.
var directions = map[string]Direction{
	"J/token": Lower, "J/output_token": Lower, "J/input_token": Lower, "J/request": Lower, "J/step": Lower, "J": Lower,
	"mJ/token": Lower, "Wh": Lower, "kWh": Lower, "Wh/request": Lower,
	"W": Lower, "s": Lower, "ms": Lower, "us": Lower, "ns": Lower, "ms/token": Lower, "s/token": Lower,
	"bytes": Lower, "gCO2e": Lower, "gCO2e/token": Lower, "gCO2e/request": Lower,
	"tokens/s": Higher, "token/s": Higher, "requests/s": Higher, "request/s": Higher,
	"tokens/J": Higher, "token/J": Higher, "FLOP/s": Higher, "B/s": Higher, "GB/s": Higher,
}

// DirectionOf asks the unit which way is better. A unit per token or request of
// an unlisted quantity of energy, time or money is lower; others are Neither, and
// such metrics are shown but not ranked.
func DirectionOf(unit string) Direction {
	if d, ok := directions[unit]; ok {
		return d
	}
	top, bottom, found := strings.Cut(unit, "/")
	if !found {
		return Neither
	}
	if bottom == "s" || bottom == "J" || bottom == "kWh" {
		if strings.Contains(top, "token") || strings.Contains(top, "request") {
			return Higher
		}
		return Neither
	}
	if strings.Contains(bottom, "token") || strings.Contains(bottom, "request") {
		if d, ok := directions[top]; ok {
			return d
		}
		if len(top) == 3 && strings.ToUpper(top) == top { // a currency
			return Lower
		}
	}
	return Neither
}

// Better reports whether a is better than b.
func (d Direction) Better(a, b float64) bool {
	return d == Lower && a < b || d == Higher && a > b
}

// neverNegative tells whether a unit measures what cannot be below zero: energy,
// power, time, speed and costs, all of which have a direction. Others may be
// differences, or scales whose zero means nothing.
func neverNegative(unit string) bool { return DirectionOf(unit) != Neither }
