package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
)

// onTwoGPUs gives a trial's headline a second card with a third of the joules.
func onTwoGPUs(t result.Trial) result.Trial {
	t = onGPU(t, "GPU-1")
	second := energy.Domain{ID: "nvml/GPU-2", Kind: energy.KindGPU, DeviceIDs: []string{"GPU-2"}, Source: "nvml"}
	t.Sources[0].Domains = append(t.Sources[0].Domains, second)
	t.Boundary, t.Headline = energy.BoundaryOf(t.Sources[0].Domains...).String(), append(t.Headline, second.ID)
	for i := range t.Windows {
		w := &t.Windows[i]
		w.Domains[0].Window.EnergyJ = *w.EnergyJ * 2 / 3
		w.Domains = append(w.Domains, result.DomainEnergy{DomainID: second.ID, Kind: second.Kind, Window: energy.Window{EnergyJ: *w.EnergyJ / 3}})
	}
	return t
}

// The factor makes a value of its own, and changes no other.
func TestCalibrationIsBesideTheHeadline(t *testing.T) {
	list := []result.Trial{onTwoGPUs(aTrial("a", 0, 0.6)), onTwoGPUs(aTrial("a", 1, 0.66))}
	plain := Summarize(list, nil, Options{})
	user := study.UserConfig{SensorCalibration: map[string]float64{"GPU-1": 1.03, "GPU-2": 0.97, "GPU-3": 2}}
	s := Summarize(list, nil, Options{User: user})
	c := s.Cells[0]
	e := estimate(t, c, MetricCalibrated)
	near(t, "calibrated", e.Centre, 0.63*(2*1.03+0.97)/3)
	near(t, "the sensor's bounds", *e.SystematicRel, 0.05)
	if diff := cmp.Diff(map[string]float64{"GPU-1": 1.03, "GPU-2": 0.97}, c.Calibration); diff != "" {
		t.Errorf("factors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(user.SensorCalibration, s.Factors.SensorCalibration); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	c.Estimates, c.Calibration = c.Estimates[:len(c.Estimates)-1], nil
	if diff := cmp.Diff(plain.Cells[0], c, cmpopts.IgnoreUnexported(Cell{})); diff != "" {
		t.Errorf("the factor changed more than its own value:\n%s", diff)
	}
	var text strings.Builder
	if err := Table(&text, s, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	if want := "(factor 1.03 for GPU-1, 0.97 for GPU-2)"; !strings.Contains(text.String(), want) {
		t.Errorf("the table lacks %q:\n%s", want, text.String())
	}
}

func TestCalibrationAbsent(t *testing.T) {
	gpu := []result.Trial{onTwoGPUs(aTrial("a", 0, 0.6)), onTwoGPUs(aTrial("a", 1, 0.66))}
	for name, c := range map[string]struct {
		trials  []result.Trial
		factors map[string]float64
		why     string
	}{
		"not configured": {gpu, nil, ""},
		"one of two":     {gpu, map[string]float64{"GPU-1": 1.03}, "sensor_calibration has no factor for GPU-2"},
		"no GPU":         {quickstart(), map[string]float64{"GPU-1": 1.03}, ""},
	} {
		for _, cell := range Summarize(c.trials, nil, Options{User: study.UserConfig{SensorCalibration: c.factors}}).Cells {
			if _, ok := cell.Estimate(MetricCalibrated); ok || cell.Absent[MetricCalibrated] != c.why || cell.Calibration != nil {
				t.Errorf("%s: %v, absent %q", name, ok, cell.Absent[MetricCalibrated])
			}
		}
	}
}
