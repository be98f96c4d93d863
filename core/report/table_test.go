package report

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
)

// scenes are result directories of every kind that a reader may meet.
func scenes() map[string]func() ([]result.Trial, []result.Trial, Options) {
	return map[string]func() ([]result.Trial, []result.Trial, Options){
		"quickstart": func() ([]result.Trial, []result.Trial, Options) {
			return quickstart(), nil, Options{Dir: "results/quickstart", Order: []string{"f16", "q8_0"}}
		},
		"estimated": func() ([]result.Trial, []result.Trial, Options) {
			list := quickstart()
			for i := range list {
				list[i] = modelled(list[i])
			}
			return list, nil, Options{Dir: "results/quickstart", Order: []string{"gone", "q8_0", "f16"}}
		},
		"single": func() ([]result.Trial, []result.Trial, Options) {
			noStamps := aTrial("q8_0", 0, 0.35)
			noStamps.Windows[0].TTFT, noStamps.Windows[0].TPOT = nil, nil
			other := aTrial("f16", 0, 0.55)
			other.Windows[0].TTFT, other.Windows[0].TPOT = nil, nil
			return []result.Trial{noStamps, other}, nil, Options{Dir: "d"}
		},
		"grouped": func() ([]result.Trial, []result.Trial, Options) {
			a, b := aTrial("f16", 0, 0.55, 0.552, 0.549), aTrial("q8_0", 0, 0.35, 0.352, 0.349)
			a.Cell.Grouped, b.Cell.Grouped = true, true
			return []result.Trial{a, b}, nil, Options{Dir: "d"}
		},
		"troubles": func() ([]result.Trial, []result.Trial, Options) {
			list := quickstart()
			short := aTrial("q4_0", 0, 0.2)
			short.Ranked = false
			short.Warnings = []energy.Warning{{Code: "window_short", Severity: energy.SeverityFatal, Message: "a window lasts 1.20 s"}}
			list = append(list, short, modelled(aTrial("elsewhere", 0, 0.3)), modelled(aTrial("elsewhere", 1, 0.31)))
			for i := range list {
				list[i] = withDRAM(list[i], 0.1)
			}
			return list, []result.Trial{failedRun("f16", 3), failedRun("bf16", 0)}, Options{Dir: "results/x", User: study.UserConfig{TariffPerKWh: 0.3, Currency: "EUR", GridIntensityGPerKWh: 380, PUE: 1.2}}
		},
		"alike": func() ([]result.Trial, []result.Trial, Options) {
			var list []result.Trial
			for block, d := range []float64{0.02, -0.01, 0.03} {
				list = append(list, aTrial("a", block, 0.55+d), aTrial("b", block, 0.555-d/2))
			}
			return list, nil, Options{}
		},
		"phases": func() ([]result.Trial, []result.Trial, Options) {
			list := append(probes(), aTrial("q4_0", 0, 0.2), aTrial("q4_0", 1, 0.21))
			for i := range list {
				if list[i].Cell.ID == "f16" {
					list[i] = stamped(list[i], 50+float64(i)/10, 450)
				}
				list[i] = modelled(list[i])
			}
			return list, nil, Options{Order: []string{"f16", "q8_0", "q4_0"}, Baseline: "q8_0"}
		},
		"phasesmixed": func() ([]result.Trial, []result.Trial, Options) {
			var list []result.Trial
			for _, t := range fittedStudy(1, 64) {
				if id := t.Cell.ID; !strings.Contains(id, "-512-") && !strings.Contains(id, "-1024-") && len(list) < 12 {
					*t.Run.EnergyJ *= 1 + 0.003*float64(len(list)%3-1)
					list = append(list, t)
				}
			}
			list[0] = stamped(list[0], 50, 450)
			list[1] = probed(list[1])
			return append(list, probeOf(list[1].Cell.ID, 0, 1)), nil, Options{}
		},
		"nothing": func() ([]result.Trial, []result.Trial, Options) { return nil, nil, Options{Dir: "d"} },
	}
}

func TestTableGolden(t *testing.T) {
	for name, scene := range scenes() {
		trials, failed, o := scene()
		s := Summarize(trials, failed, o)
		if name == "troubles" {
			s.AddProblem(result.Problem{Code: result.ProblemTrial, File: "runs/z-b0/trial.json", Message: "read results/x/runs/z-b0/trial.json: it is no trial record"})
		}
		for form, options := range map[string]TableOptions{"plain": {}, "terminal": {Terminal: true, Width: 200}} {
			var b strings.Builder
			if err := Table(&b, s, options); err != nil {
				t.Fatal(err)
			}
			golden(t, name+"."+form+".txt", b.String())
			if form == "plain" {
				for _, r := range b.String() {
					if r > 0x7e || r < ' ' && r != '\n' {
						t.Errorf("%s: plain output holds %q", name, r)
						break
					}
				}
			}
		}
		var js, csv strings.Builder
		if err := errors.Join(JSON(&js, s), CSV(&csv, s)); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", js.String())
		golden(t, name+".csv", csv.String())
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	trials, failed, o := scenes()["troubles"]()
	for i := range trials {
		trials[i].Cell.Label = "a rather long name of a cell, " + trials[i].Cell.Label
	}
	s := Summarize(trials, failed, o)
	for width := 50; width <= 220; width += 10 {
		var b strings.Builder
		p := printer{s: s, o: TableOptions{Terminal: true, Width: width}}
		out := p.render(p.columns(), s.Cells, 0)
		if err := Table(&b, s, p.o); err != nil {
			t.Fatal(err)
		}
		table, _, _ := strings.Cut(b.String(), "\nenergy")
		for line := range strings.Lines(table) {
			if strings.HasPrefix(line, "(not shown") {
				continue
			}
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > max(width, 62) {
				t.Errorf("width %d: a line of %d columns: %q", width, n, line)
			}
		}
		if hidden := strings.Contains(table, "not shown for want of width"); hidden != (widest(out) > width) {
			t.Errorf("width %d: hidden columns are named: %v", width, hidden)
		}
	}
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	trials, failed, o := scenes()["troubles"]()
	s := Summarize(trials, failed, o)
	for _, options := range []TableOptions{{}, {Color: true}, {Terminal: true}, {Terminal: true, Color: true}} {
		var b strings.Builder
		if err := Table(&b, s, options); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "\x1b"); got != (options.Terminal && options.Color) {
			t.Errorf("%+v: escapes %v", options, got)
		}
	}
}

// What a plugin says must not steer the terminal.
func TestPluginTextIsHarmless(t *testing.T) {
	f := failedRun("x", 0)
	f.Failure.Message = "line one\nline two\x1b[2Jgone\r"
	f.Cell.Label = "x\u202e\u009b2J" // of somebody else's results
	var b strings.Builder
	if err := Table(&b, Summarize(nil, []result.Trial{f}, Options{}), TableOptions{Terminal: true}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\r\u202e\u009b") || !strings.Contains(b.String(), "line one line two[2Jgone") {
		t.Errorf("printed %q", b.String())
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWriteErrorsAreReported(t *testing.T) {
	s := Summarize(quickstart(), nil, Options{})
	for name, err := range map[string]error{"table": Table(fullDisk{}, s, TableOptions{}), "json": JSON(fullDisk{}, s), "csv": CSV(fullDisk{}, s)} {
		if err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDigits(t *testing.T) {
	s := Summarize([]result.Trial{aTrial("a", 0, 0.5512), aTrial("a", 1, 0.5498)}, nil, Options{})
	e, ok := s.Cells[0].Estimate(MetricEnergyPerToken)
	if got := interval(e, ok); got != "0.5505 [0.5416, 0.5594]" {
		t.Errorf("interval %s of %v", got, fmt.Sprint(e.Centre, *e.Lo, *e.Hi))
	}
	if got := interval(e, false); got != missing {
		t.Errorf("absent: %s", got)
	}
}

// Loads that agree but for rounding have an interval that nobody wants in powers of
// ten: 0.1+0.2 is not 0.3.
func TestNoSpreadIsPrintedAsSuch(t *testing.T) {
	x, y := 0.1, 0.2
	s := Summarize([]result.Trial{aTrial("a", 0, x+y), aTrial("a", 1, 0.3), aTrial("a", 2, 0.3)}, nil, Options{})
	var out strings.Builder
	if err := Table(&out, s, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "+/-<0.01 % (repeat)") || regexp.MustCompile(`[0-9]e-[0-9]+ %`).MatchString(out.String()) {
		t.Errorf("the table says:\n%s", out.String())
	}
}

// The windows of one load are the samples of a first look: table and CSV say the same
// n, and it is the one that the interval was made with.
func TestGroupedCellsCountWindows(t *testing.T) {
	grouped := aTrial("a", 0, 0.50, 0.51, 0.52, 0.51)
	grouped.Cell.Grouped = true
	s := Summarize([]result.Trial{grouped}, nil, Options{})
	var out, csv strings.Builder
	if err := errors.Join(Table(&out, s, TableOptions{}), CSV(&csv, s)); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^a \(one load\) .*\] +4 `).MatchString(out.String()) || !strings.Contains(out.String(), "at n = 4") {
		t.Errorf("the table says:\n%s", out.String())
	}
	if !regexp.MustCompile(`(?m),energy_per_output_token,.*,t,,4,.*,1,0,0,`).MatchString(csv.String()) {
		t.Errorf("the CSV says:\n%s", csv.String())
	}
}
