package main

import (
	"encoding/json"
	"fmt"
)

// row is one request's outcome: the number of its batch, its output tokens and
// why it ended. One that never began is null.
type row struct {
	ran    bool
	batch  int
	tokens int
	reason string
}

// UnmarshalJSON reads [batch, tokens, reason] or null.
func (r *row) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	parts := []any{&r.batch, &r.tokens, &r.reason}
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) != 3 || r.batch < 0 || r.tokens < 0 {
		return fmt.Errorf("%s is no outcome of a request", text)
	}
	r.ran = true
	return nil
}
