package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Describe returns what a plugin says of itself, above all its parameter
// schema. A plugin that was asked before, with the same files and by the same
// core, is not started: its answer is kept in the cache. MonoNowNs and BootID
// are empty, for they belong to a process.
func (r *Registry) Describe(ctx context.Context, name string) (sdk.DescribeReport, error) {
	entry, err := r.Find(name)
	if err != nil {
		return sdk.DescribeReport{}, err
	}
	if err := r.options.checkLock(entry); err != nil {
		return sdk.DescribeReport{}, err
	}
	cache := schemaCache{r.options}
	if report, ok := cache.get(entry.Manifest); ok {
		if err := r.verifyCached(ctx, entry); err != nil {
			return sdk.DescribeReport{}, err
		}
		return report, entry.compare(report, r.options.CoreVersion)
	}
	p, err := r.start(ctx, entry, host.Options{})
	if err != nil {
		return sdk.DescribeReport{}, err
	}
	report := ofAnyProcess(p.Description())
	p.Kill()
	if err := cache.put(entry.Manifest, report); err != nil {
		r.warn("schema_cache", fmt.Sprintf("keep the schema of plugin %s: %v; the plugin is started each time", name, err))
	}
	return report, nil
}

// ofAnyProcess returns the report without what only one process can say.
func ofAnyProcess(report sdk.DescribeReport) sdk.DescribeReport {
	report.MonoNowNs, report.BootID = 0, ""
	return report
}

// schemaCache keeps reports in files named by plugin digest, core version and
// contract version. A file is never changed, so nothing can be stale; one
// that cannot be read is made anew.
type schemaCache struct{ options Options }

func (c schemaCache) file(m Manifest) string {
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d.%d\n%s", m.Digest(), c.options.CoreVersion, Protocol, sdk.ProtocolMinor, sdk.Version))
	return filepath.Join(c.options.CacheDir, "schemas", m.Name+"-"+hex.EncodeToString(key[:12])+".json")
}

func (c schemaCache) get(m Manifest) (sdk.DescribeReport, bool) {
	if c.options.CacheDir == "" {
		return sdk.DescribeReport{}, false
	}
	data, err := os.ReadFile(c.file(m))
	if err != nil {
		return sdk.DescribeReport{}, false
	}
	report, err := decodeReport(data)
	return report, err == nil
}

func (c schemaCache) put(m Manifest, report sdk.DescribeReport) error {
	if c.options.CacheDir == "" {
		return nil
	}
	data, err := encodeReport(report)
	if err != nil {
		return err
	}
	file := c.file(m)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(file, data, 0o600)
}

// keptReport is a DescribeReport as JSON. Fields named again here take the
// place of the embedded ones, whose values of type any would lose the last
// bits of large integers and the difference between 1 and 1.0.
type keptReport struct {
	Layout int
	sdk.DescribeReport
	BackendSchema []keptParameter
	SourceSchema  []keptParameter
}

type keptParameter struct {
	sdk.Parameter
	Default, Min, Max *keptValue
	Enum              []*keptValue
	Children          []keptParameter
}

// keptValue is one value with its type; exactly one field is set.
type keptValue struct {
	Bool  *bool                 `json:",omitempty"`
	Int   *int64                `json:",omitempty"`
	Float *float64              `json:",omitempty"`
	Text  *string               `json:",omitempty"`
	List  *[]*keptValue         `json:",omitempty"`
	Table map[string]*keptValue `json:",omitzero"`
}

const keptLayout = 1

func encodeReport(report sdk.DescribeReport) ([]byte, error) {
	kept := keptReport{Layout: keptLayout, DescribeReport: report}
	var err error
	if kept.BackendSchema, err = keepSchema(report.BackendSchema); err != nil {
		return nil, err
	}
	if kept.SourceSchema, err = keepSchema(report.SourceSchema); err != nil {
		return nil, err
	}
	return json.Marshal(kept)
}

func decodeReport(data []byte) (sdk.DescribeReport, error) {
	var kept keptReport
	if err := json.Unmarshal(data, &kept); err != nil {
		return sdk.DescribeReport{}, err
	}
	if kept.Layout != keptLayout {
		return sdk.DescribeReport{}, fmt.Errorf("layout %d is not %d", kept.Layout, keptLayout)
	}
	report := kept.DescribeReport
	report.BackendSchema = schemaOf(kept.BackendSchema)
	report.SourceSchema = schemaOf(kept.SourceSchema)
	return report, nil
}

func keepSchema(schema []sdk.Parameter) ([]keptParameter, error) {
	var list []keptParameter
	for _, p := range schema {
		kept := keptParameter{Parameter: p}
		var err error
		for _, field := range []struct {
			from any
			to   **keptValue
		}{{p.Default, &kept.Default}, {p.Min, &kept.Min}, {p.Max, &kept.Max}} {
			if *field.to, err = keepValue(field.from); err != nil {
				return nil, fmt.Errorf("parameter %s: %w", p.Key, err)
			}
		}
		for _, allowed := range p.Enum {
			value, err := keepValue(allowed)
			if err != nil {
				return nil, fmt.Errorf("parameter %s: %w", p.Key, err)
			}
			kept.Enum = append(kept.Enum, value)
		}
		if kept.Children, err = keepSchema(p.Children); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Key, err)
		}
		list = append(list, kept)
	}
	return list, nil
}

func schemaOf(list []keptParameter) []sdk.Parameter {
	var schema []sdk.Parameter
	for _, kept := range list {
		p := kept.Parameter
		p.Default, p.Min, p.Max = kept.Default.value(), kept.Min.value(), kept.Max.value()
		p.Enum = nil
		for _, allowed := range kept.Enum {
			p.Enum = append(p.Enum, allowed.value())
		}
		p.Children = schemaOf(kept.Children)
		schema = append(schema, p)
	}
	return schema
}

func keepValue(v any) (*keptValue, error) {
	if v == nil {
		return nil, nil
	}
	normal, err := sdk.Normalize(v)
	if err != nil {
		return nil, err
	}
	switch x := normal.(type) {
	case bool:
		return &keptValue{Bool: &x}, nil
	case int64:
		return &keptValue{Int: &x}, nil
	case float64:
		return &keptValue{Float: &x}, nil
	case string:
		return &keptValue{Text: &x}, nil
	case []any:
		list := make([]*keptValue, len(x))
		for i, element := range x {
			if list[i], err = keepValue(element); err != nil {
				return nil, err
			}
		}
		return &keptValue{List: &list}, nil
	case sdk.Table:
		table := make(map[string]*keptValue, len(x))
		for key, element := range x {
			if table[key], err = keepValue(element); err != nil {
				return nil, err
			}
		}
		return &keptValue{Table: table}, nil
	}
	return nil, fmt.Errorf("a value of type %T cannot be kept", normal)
}

func (k *keptValue) value() any {
	switch {
	case k == nil:
		return nil
	case k.Bool != nil:
		return *k.Bool
	case k.Int != nil:
		return *k.Int
	case k.Float != nil:
		return *k.Float
	case k.Text != nil:
		return *k.Text
	case k.List != nil:
		list := make([]any, len(*k.List))
		for i, element := range *k.List {
			list[i] = element.value()
		}
		return list
	case k.Table != nil:
		table := make(sdk.Table, len(k.Table))
		for key, element := range k.Table {
			table[key] = element.value()
		}
		return table
	}
	return nil
}
