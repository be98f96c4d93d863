package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// drawer is an Opener of sensors in this process: by name, what their Open
// returns. A name that is not there is not installed.
type drawer struct{ sensors map[string]*drawnSensor }

type drawnSensor struct {
	estimated bool
	refusal   error
	open      bool
	hang      chan struct{} // the stream ends with this alone, if set
}

func (d *drawer) Backend(context.Context, study.Cell, io.Writer) (*host.Plugin, result.Plugin, error) {
	return nil, result.Plugin{}, errors.New("this test loads nothing")
}

func (d *drawer) Source(_ context.Context, name string) (Source, error) {
	if d.sensors[name] == nil {
		return Source{}, fmt.Errorf("%w: looked for %s in a long list of places", ErrNotInstalled, name)
	}
	return Source{Name: name, Sensor: d.sensors[name]}, nil
}

func (s *drawnSensor) Open(context.Context, sdk.OpenRequest) ([]sdk.Domain, error) {
	if s.refusal != nil {
		return nil, s.refusal
	}
	s.open = true
	return []sdk.Domain{{
		ID: "cpu", Kind: sdk.DomainCPUPackage, Reading: sdk.ReadingCounter, Unit: sdk.UnitJoule,
		UnitNumerator: 1, UnitDenominator: 1000, UpdatePeriodNs: 1e8, Estimated: s.estimated, Doc: "made with 42 W",
	}}, nil
}

func (s *drawnSensor) Stream(ctx context.Context, _ func(sdk.SampleBatch) error) error {
	<-ctx.Done()
	if s.hang != nil {
		<-s.hang
	}
	return nil
}

func (s *drawnSensor) Close(context.Context) error { s.open = false; return nil }

func reads() *drawnSensor     { return &drawnSensor{} }
func estimates() *drawnSensor { return &drawnSensor{estimated: true} }
func refuses(words string) *drawnSensor {
	return &drawnSensor{refusal: &sdk.Error{Code: sdk.Permission, Phase: "open", Message: words}}
}

// What "auto" opens, and what the record says about it.
func TestAutoSources(t *testing.T) {
	for name, c := range map[string]struct {
		energy  []string
		gpu     bool
		sensors map[string]*drawnSensor
		want    []string // "name: why" of each source
	}{
		"GPU and counters": {[]string{"auto"}, true, map[string]*drawnSensor{"nvml": reads(), "rapl": reads(), "hostpower": estimates()},
			[]string{"nvml: auto: the study uses a GPU", "rapl: auto: its counters can be read"}},
		"no GPU in use": {[]string{"auto"}, false, map[string]*drawnSensor{"nvml": reads(), "rapl": reads(), "hostpower": estimates()},
			[]string{"rapl: auto: its counters can be read"}},
		"GPU, counters forbidden": {[]string{"auto"}, true, map[string]*drawnSensor{"nvml": reads(), "rapl": refuses("type chmod"), "hostpower": estimates()},
			[]string{"nvml: auto: the study uses a GPU; not opened: energy source rapl: open: type chmod"}},
		"GPU without its driver": {[]string{"auto"}, true, map[string]*drawnSensor{"nvml": refuses("no driver"), "rapl": reads(), "hostpower": estimates()},
			[]string{"rapl: auto: its counters can be read; not opened: energy source nvml: open: no driver"}},
		"nothing measures": {[]string{"auto"}, true, map[string]*drawnSensor{"nvml": refuses("no driver"), "rapl": refuses("type chmod"), "hostpower": estimates()},
			[]string{"hostpower: auto: nothing measures here; not opened: energy source nvml: open: no driver; energy source rapl: open: type chmod"}},
		"rapl is not installed": {[]string{"auto"}, false, map[string]*drawnSensor{"hostpower": estimates()},
			[]string{"hostpower: auto: nothing measures here; not opened: energy source rapl: not installed"}},
		"a named source measures": {[]string{"auto", "meter"}, false, map[string]*drawnSensor{"meter": reads(), "rapl": refuses("type chmod"), "hostpower": estimates()},
			[]string{"meter: named by the study; not opened: energy source rapl: open: type chmod"}},
		"a named source only estimates": {[]string{"model", "auto"}, false, map[string]*drawnSensor{"model": estimates(), "rapl": reads(), "hostpower": estimates()},
			[]string{"model: named by the study", "rapl: auto: its counters can be read"}},
		"named and automatic": {[]string{"auto", "rapl", "rapl"}, false, map[string]*drawnSensor{"rapl": reads(), "hostpower": estimates()},
			[]string{"rapl: named by the study"}},
		"the estimate by name beside counters": {[]string{"hostpower", "rapl"}, true, map[string]*drawnSensor{"nvml": reads(), "rapl": reads(), "hostpower": estimates()},
			[]string{"hostpower: named by the study", "rapl: named by the study"}},
	} {
		t.Run(name, func(t *testing.T) {
			drawer := &drawer{sensors: c.sensors}
			r, err := openSources(t.Context(), drawer, c.energy, c.gpu)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range r.describe() {
				got = append(got, s.Name+": "+s.Why)
				if s.Domains[0].Doc != "made with 42 W" || s.Domains[0].ID != s.Name+"/cpu" {
					t.Errorf("%+v", s.Domains[0])
				}
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			r.close(t.Context())
			for name, s := range c.sensors {
				if s.open {
					t.Errorf("%s was left open", name)
				}
			}
		})
	}
}

// Without any source the study does not begin, and what is open is closed.
func TestNoSource(t *testing.T) {
	for name, c := range map[string]struct {
		energy  []string
		sensors map[string]*drawnSensor
		want    string
	}{
		"auto finds none": {[]string{"auto"}, map[string]*drawnSensor{"rapl": refuses("type chmod"), "hostpower": refuses("no procfs")},
			"open energy sources: energy source rapl: open: type chmod; energy source hostpower: open: no procfs; install a source (`llem plugins list` shows what there is) or name one in `energy`"},
		"a named one is not installed": {[]string{"rapl", "meter", "auto"}, map[string]*drawnSensor{"rapl": reads()},
			"energy source meter: not installed: looked for meter in a long list of places"},
		"a named one refuses": {[]string{"rapl"}, map[string]*drawnSensor{"rapl": refuses("type chmod")}, "energy source rapl: open: type chmod"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openSources(t.Context(), &drawer{sensors: c.sensors}, c.energy, false)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			for name, s := range c.sensors {
				if s.open {
					t.Errorf("%s was left open", name)
				}
			}
		})
	}
}

// An interrupt while auto looks around is an interrupt, not a lack of sources.
func TestAutoInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := openSources(ctx, &drawer{sensors: map[string]*drawnSensor{"rapl": {refusal: context.Canceled}}}, []string{"auto"}, false)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
