package result

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// migration turns a record of one version into the next, in place. It works
// on the raw object, so that it still means the same when the types change.
type migration func(record map[string]any) error

// migrations by the version that they start from. Version 1 is the first, so
// there are none yet; a record of every old version stays under testdata.
func migrations() map[int]migration {
	return map[int]migration{}
}

func migrate(text []byte, from, to int, steps map[int]migration) ([]byte, error) {
	var record map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&record); err != nil {
		return nil, fmt.Errorf("it is no trial record: %w", err)
	}
	for v := from; v < to; v++ {
		step, ok := steps[v]
		if !ok {
			return nil, fmt.Errorf("schema_version %d cannot be read any more: there is no migration to %d", from, v+1)
		}
		if err := step(record); err != nil {
			return nil, fmt.Errorf("migrate from schema_version %d to %d: %w", v, v+1, err)
		}
		record["schema_version"] = v + 1
	}
	return marshal(record)
}
