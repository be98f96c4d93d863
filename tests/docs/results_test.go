package docs_test

import (
	"bytes"
	"encoding/csv"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

const resultsPage = "docs/results-format.md"

// trialSections says in which section of the page the fields of a type are
// explained.
var trialSections = map[string][]any{
	"trial.json":   {result.Trial{}, result.Idle{}},
	"cell":         {result.Cell{}},
	"failure":      {result.Failure{}},
	"plugin":       {result.Plugin{}},
	"sources":      {result.Source{}, energy.Domain{}, energy.Accuracy{}},
	"load":         {result.Load{}, sdk.LoadReport{}, sdk.Package{}, sdk.ModelIdentity{}, sdk.DeviceUse{}, sdk.Warning{}, sdk.StageEvent{}},
	"work":         {result.Work{}, result.Schedule{}},
	"run":          {result.Run{}, sdk.RunSpec{}, sdk.PassRecord{}, sdk.Counters{}, sdk.NamedMetric{}, sdk.Warning{}},
	"client":       {sdk.ClientHealth{}},
	"conditioning": {result.Conditioning{}},
	"cooldown":     {result.Cooldown{}},
	"windows":      {result.Window{}, result.DomainEnergy{}, energy.Window{}, result.Quantiles{}, result.ArrivalGaps{}, result.Goodput{}, result.Phases{}, result.Arrivals{}},
	"gates":        {gate.Verdict{}},
	"audit":        {gate.Audit{}},
	"devices":      {result.Device{}, result.Readings{}, device.Facts{}, device.Sensor{}, device.Snapshot{}, device.Reading{}, device.Process{}},
	"host_load":    {environ.Shares{}},
	"files":        {result.File{}},
	"warnings":     {energy.Warning{}},
}

// Every field of a trial is explained, and no other.
func TestTrialFields(t *testing.T) {
	page := read(t, resultsPage)
	covered := map[reflect.Type]bool{}
	for heading, values := range trialSections {
		documented := firstCells(section(t, page, heading))
		known := map[string]bool{}
		for _, value := range values {
			at := reflect.TypeOf(value)
			covered[at] = true
			for _, name := range jsonNames(at) {
				known[name] = true
				if !slices.Contains(documented, name) {
					t.Errorf("%s: %s: the field %s of %v is missing", resultsPage, heading, name, at)
				}
			}
		}
		for _, name := range documented {
			if !known[name] {
				t.Errorf("%s: %s: there is no field %s", resultsPage, heading, name)
			}
		}
	}
	for at := range reachable(reflect.TypeFor[result.Trial]()) {
		if !covered[at] {
			t.Errorf("no section of %s explains %v", resultsPage, at)
		}
	}
}

var column = regexp.MustCompile(`(?m)^\t(?:required|optional|repeated) \S+ ([a-z_]+)`)

// The columns are those of the golden file that core/result is tested with.
func TestParquetColumns(t *testing.T) {
	documented := firstCells(section(t, read(t, resultsPage), "Parquet"))
	known := map[string]bool{}
	for _, found := range column.FindAllStringSubmatch(read(t, "core/result/testdata/columns.txt"), -1) {
		known[found[1]] = true
		if !slices.Contains(documented, found[1]) {
			t.Errorf("%s: the column %s is missing", resultsPage, found[1])
		}
	}
	for _, name := range documented {
		if !known[name] {
			t.Errorf("%s: there is no column %s", resultsPage, name)
		}
	}
}

func TestSummaryAndPlanFields(t *testing.T) {
	page := read(t, resultsPage)
	for heading, root := range map[string]reflect.Type{
		"summary.json and summary.csv": reflect.TypeFor[report.Summary](),
		"plan-1.json":                  reflect.TypeFor[plan.Plan](),
		"factors.json":                 reflect.TypeFor[report.Factors](),
	} {
		words := quoted(section(t, page, heading))
		for at := range reachable(root) {
			for _, name := range jsonNames(at) {
				if !slices.Contains(words, name) && !(at == reflect.TypeFor[report.Warning]() && slices.Contains(jsonNames(reflect.TypeFor[energy.Warning]()), name)) {
					t.Errorf("%s: %s: the field %s of %v is missing", resultsPage, heading, name, at)
				}
			}
		}
	}
}

func TestSummaryColumns(t *testing.T) {
	var text bytes.Buffer
	if err := report.CSV(&text, report.Summary{}); err != nil {
		t.Fatal(err)
	}
	header, err := csv.NewReader(&text).Read()
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(section(t, read(t, resultsPage), "summary.json and summary.csv"), "Columns:")
	if !found {
		t.Fatalf("%s has no list of columns", resultsPage)
	}
	if got := quoted(list); !slices.Equal(got, append(header, "axis.KEY")) {
		t.Errorf("%s: the columns are\n%v, the page has\n%v", resultsPage, header, got)
	}
}

// section is the text under a heading, up to the next one.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	at := regexp.MustCompile(`(?m)^##+ ` + regexp.QuoteMeta(heading) + `$`).FindStringIndex(page)
	if at == nil {
		t.Fatalf("%s has no heading %q", resultsPage, heading)
	}
	text := page[at[1]:]
	if end := regexp.MustCompile(`(?m)^##`).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return text
}

var word = regexp.MustCompile("`([^`\n]+)`")

func quoted(text string) []string {
	var words []string
	for _, found := range word.FindAllStringSubmatch(text, -1) {
		words = append(words, found[1])
	}
	return words
}

// firstCells are the quoted words in the first column of a section's tables.
func firstCells(text string) []string {
	var words []string
	for _, header := range []string{"Field", "Column"} {
		for _, row := range rows(text, header) {
			words = append(words, quoted(row[0])...)
		}
	}
	return words
}

// jsonNames are the names of a struct's fields in JSON.
func jsonNames(at reflect.Type) []string {
	var names []string
	for i := range at.NumField() {
		field := at.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported() || name == "-":
		case name == "":
			names = append(names, field.Name)
		default:
			names = append(names, name)
		}
	}
	return names
}

// reachable are all structs that a value of a type may hold in its JSON.
func reachable(at reflect.Type) map[reflect.Type]bool {
	found := map[reflect.Type]bool{}
	switch at.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		return reachable(at.Elem())
	case reflect.Struct:
		found[at] = true
		for i := range at.NumField() {
			if field := at.Field(i); field.IsExported() && field.Tag.Get("json") != "-" {
				maps.Copy(found, reachable(field.Type))
			}
		}
	}
	return found
}
