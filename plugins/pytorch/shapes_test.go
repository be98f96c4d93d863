package main

import "testing"

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		id         string
		parameters int64
		kvBytes    int64 // of one token in half precision
	}{
		{"llem/random-tiny", 5_475_584, 6 * 4 * 32 * 4},
		{"llem/random-160m", 162_417_408, 12 * 12 * 64 * 4},
		{"llem/random-1b", 1_235_814_400, 16 * 8 * 64 * 4},
		{"llem/random-8b", 8_030_261_248, 32 * 8 * 128 * 4},
	} {
		_, s, err := builtIn(c.id)
		if err != nil || s.parameters() != c.parameters || s.kvBytesPerToken(2) != c.kvBytes {
			t.Errorf("%s: %d parameters, %d bytes a token, error %v", c.id, s.parameters(), s.kvBytesPerToken(2), err)
		}
	}
	if _, _, err := builtIn("llem/random-70b"); err == nil {
		t.Error("an unknown model was found")
	}
}
