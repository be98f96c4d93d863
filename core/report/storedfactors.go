package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FactorsFile of a result directory holds the factors that were configured when
// the study was run, so that a report elsewhere gives the same figures.
const FactorsFile = "factors.json"

// StoredFactors is what FactorsFile holds; without any factor the study was run
// with none.
type StoredFactors struct {
	SchemaVersion int `json:"schema_version"`
	Factors
}

// Stored is f as it is stored; nil is none.
func (f *Factors) Stored() StoredFactors {
	s := StoredFactors{SchemaVersion: SchemaVersion}
	if f != nil {
		s.Factors = *f
	}
	return s
}

// ReadFactors reads the factors of a result directory. They are nil where the
// study was run without any, or by an llem that did not store them.
func ReadFactors(dir string) (*Factors, error) {
	path := filepath.Join(dir, FactorsFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the factors of the run: %w", err)
	}
	var s StoredFactors
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read %s: %w; CO2, cost and calibration are those of the settings file", path, err)
	}
	if s.SchemaVersion > SchemaVersion {
		return nil, fmt.Errorf("read %s: its schema_version is %d and this llem reads %d; CO2, cost and calibration are those of the settings file", path, s.SchemaVersion, SchemaVersion)
	}
	if s.GridGPerKWh == nil && s.TariffPerKWh == nil && len(s.SensorCalibration) == 0 {
		return nil, nil
	}
	return &s.Factors, nil
}

// Equal tells whether both give the same figures; nil is none.
func (f *Factors) Equal(other *Factors) bool {
	a, errA := json.Marshal(f)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// Text names the factors in one line.
func (f *Factors) Text() string {
	if f == nil {
		return "none"
	}
	var text string
	if f.GridGPerKWh != nil || f.TariffPerKWh != nil {
		text = f.text()
	}
	if len(f.SensorCalibration) > 0 {
		if text != "" {
			text += ", "
		}
		text += "sensor_calibration " + f.calibrationText()
	}
	return text
}

// mostCalibrated bounds how many calibrated devices are named in a line.
const mostCalibrated = 8

// calibrationText names the calibrated devices with their factors, so that two
// lists that differ read differently.
func (f *Factors) calibrationText() string {
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(f.SensorCalibration)) {
		if len(parts) == mostCalibrated {
			parts = append(parts, fmt.Sprintf("... of %d devices", len(f.SensorCalibration)))
			break
		}
		parts = append(parts, fmt.Sprintf("%s = %v", id, f.SensorCalibration[id]))
	}
	return strings.Join(parts, ", ")
}
