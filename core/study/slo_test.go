package study

import "testing"

func TestSLO(t *testing.T) {
	const head = "name = \"s\"\nbackend = \"ggml\"\n[model]\nid = \"m\"\n"
	id := func(text string) string {
		t.Helper()
		s, err := Parse("", []byte(head+text))
		if err != nil {
			t.Fatal(err)
		}
		cells, err := Expand(s)
		if err != nil {
			t.Fatal(err)
		}
		return cells[0].ID
	}
	for text, want := range map[string]SLO{
		"":                                   {},
		"[slo]":                              {},
		"[slo]\ntpot_ms = 0.5":               {TPOTMs: 0.5},
		"[slo]\nttft_ms = 200\ne2e_ms = 200": {TTFTMs: 200, E2EMs: 200},
		"[slo]\nttft_ms = 1\ntpot_ms = 2\ne2e_ms = 3": {TTFTMs: 1, TPOTMs: 2, E2EMs: 3},
	} {
		s, err := Parse("", []byte(head+text))
		if err != nil || s.SLO != want {
			t.Errorf("%q: %+v, %v; want %+v", text, s, err, want)
		}
		// Limits judge what was measured: the cells are the same.
		if a, b := id(text), id(""); a != b {
			t.Errorf("%q changes the cell's id from %s to %s", text, b, a)
		}
	}
}
