package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/study"
)

func TestFactorsAreStoredAndReadAgain(t *testing.T) {
	for name, user := range map[string]study.UserConfig{
		"none":        {PUE: 1.2},
		"all":         {GridIntensityGPerKWh: 380, TariffPerKWh: 0.31, Currency: "EUR", PUE: 1.2, SensorCalibration: map[string]float64{"GPU-1": 1.04}},
		"calibration": {SensorCalibration: map[string]float64{"GPU-1": 0.97, "GPU-2": 1}},
	} {
		dir := t.TempDir()
		text, err := json.Marshal(FactorsOf(user).Stored())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, FactorsFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFactors(dir)
		if diff := cmp.Diff(FactorsOf(user), got); err != nil || diff != "" {
			t.Errorf("%s: %v (-stored +read)\n%s", name, err, diff)
		}
		if !got.Equal(FactorsOf(user)) || got.Equal(FactorsOf(study.UserConfig{TariffPerKWh: 7})) {
			t.Errorf("%s: Equal is wrong", name)
		}
	}
}

func TestFactorsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if f, err := ReadFactors(dir); f != nil || err != nil {
		t.Errorf("without a file: %v, %v", f, err)
	}
	for text, want := range map[string]string{"{": "unexpected end", `{"schema_version": 99}`: "schema_version is 99"} {
		if err := os.WriteFile(filepath.Join(dir, FactorsFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFactors(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// Those of the run win over the settings at the time of the report.
func TestStoredFactorsReplaceTheUsers(t *testing.T) {
	stored := FactorsOf(study.UserConfig{TariffPerKWh: 0.5, Currency: "EUR"})
	s := Summarize(nil, nil, Options{User: study.UserConfig{TariffPerKWh: 9}, Factors: stored})
	if !s.Factors.Equal(stored) {
		t.Errorf("got %s", s.Factors.Text())
	}
}
