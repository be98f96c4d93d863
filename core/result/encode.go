package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// encodeTrial is the text of trial.json. In the tables of parameters a float
// keeps its point (1.0) and an integer all its digits, so that both come back
// as what they were.
func encodeTrial(t Trial) ([]byte, error) {
	t.SchemaVersion = SchemaVersion
	var err error
	if t.Cell.Parameters, err = exactTable("cell.parameters", t.Cell.Parameters); err != nil {
		return nil, err
	}
	if t.Cell.Axes, err = exactTable("cell.axes", t.Cell.Axes); err != nil {
		return nil, err
	}
	if t.Load != nil {
		load := *t.Load
		if load.Report.Resolved, err = exactTable("load.report.Resolved", finiteTable(load.Report.Resolved, &t)); err != nil {
			return nil, err
		}
		t.Load = &load
	}
	t.WarmUp, t.Run = finiteRun(t.WarmUp, &t), finiteRun(t.Run, &t)
	return marshal(t)
}

func exactTable[M ~map[string]any](path string, m M) (M, error) {
	if m == nil {
		return nil, nil
	}
	out := make(M, len(m))
	for key, value := range m {
		normal, err := sdk.Normalize(value)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", path, key, err)
		}
		out[key] = exact(normal)
	}
	return out, nil
}

// exact replaces floats by numbers that are written with a point or exponent.
func exact(v any) any {
	switch x := v.(type) {
	case float64:
		s := strconv.FormatFloat(x, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return json.Number(s)
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = exact(e)
		}
		return out
	case sdk.Table:
		out := make(sdk.Table, len(x))
		for k, e := range x {
			out[k] = exact(e)
		}
		return out
	}
	return v
}

// decodeTrial reads the text of trial.json, of this schema version or, by
// migrations, an older one.
func decodeTrial(text []byte) (Trial, error) {
	return decodeVersion(text, SchemaVersion, migrations())
}

func decodeVersion(text []byte, current int, steps map[int]migration) (Trial, error) {
	var t Trial
	var head struct {
		SchemaVersion *int `json:"schema_version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return t, fmt.Errorf("it is no trial record: %w", err)
	}
	switch {
	case head.SchemaVersion == nil || *head.SchemaVersion < 1:
		return t, fmt.Errorf("it has no schema_version, so it is no trial record")
	case *head.SchemaVersion > current:
		return t, fmt.Errorf("schema_version %d is newer than %d, the newest that this llem reads; use the llem that wrote it, or a later one", *head.SchemaVersion, current)
	case *head.SchemaVersion < current:
		var err error
		if text, err = migrate(text, *head.SchemaVersion, current, steps); err != nil {
			return t, err
		}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&t); err != nil {
		return Trial{}, fmt.Errorf("it is no trial record: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Trial{}, fmt.Errorf("something follows the record")
	}
	var err error
	if t.Cell.Parameters, err = plainTable("cell.parameters", t.Cell.Parameters); err != nil {
		return Trial{}, err
	}
	if t.Cell.Axes, err = plainTable("cell.axes", t.Cell.Axes); err != nil {
		return Trial{}, err
	}
	if t.Load != nil {
		if t.Load.Report.Resolved, err = plainTable("load.report.Resolved", t.Load.Report.Resolved); err != nil {
			return Trial{}, err
		}
	}
	return t, nil
}

func plainTable[M ~map[string]any](path string, m M) (M, error) {
	for key, value := range m {
		v, err := plain(value)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", path, key, err)
		}
		m[key] = v
	}
	return m, nil
}

// plain is the reverse of exact.
func plain(v any) (any, error) {
	switch x := v.(type) {
	case json.Number:
		if strings.ContainsAny(x.String(), ".eE") {
			f, err := x.Float64()
			if err != nil {
				return nil, fmt.Errorf("%s is no usable number", x)
			}
			return f, nil
		}
		n, err := x.Int64()
		if err != nil {
			return nil, fmt.Errorf("%s does not fit into 64 bits", x)
		}
		return n, nil
	case []any:
		for i, e := range x {
			p, err := plain(e)
			if err != nil {
				return nil, err
			}
			x[i] = p
		}
		return x, nil
	case map[string]any:
		return plainTable("", sdk.Table(x))
	case nil:
		return nil, fmt.Errorf("null is no value of a parameter")
	}
	return v, nil
}
