package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/llenergymeasure/llem/sdk"
)

// open opens a recording and frees it again.
func open(path string, more sdk.Table) ([]sdk.Domain, error) {
	parameters := sdk.Table{"path": path}
	for key, value := range more {
		parameters[key] = value
	}
	s := &source{}
	domains, err := s.Open(context.Background(), sdk.OpenRequest{Parameters: parameters})
	if err == nil {
		err = s.Close(context.Background())
	}
	return domains, err
}

// Whatever is wrong with a file is told with its name, the place and what to do.
func TestBadFiles(t *testing.T) {
	good := side(20)
	write := func(name, text string) string { return file(t, name, text) }
	whole, err := os.ReadFile(filepath.Join(trialDir(t, side(300)), powerFile))
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign.parquet")
	if err := parquet.WriteFile(foreign, []struct{ Time, Watts float64 }{{1, 2}}); err != nil {
		t.Fatal(err)
	}
	noNote := filepath.Join(t.TempDir(), "note.parquet")
	if err := parquet.WriteFile(noNote, []powerRow{{"a", 1, 2, 0}}); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	noPower := filepath.Dir(write(trialFile, "{}"))
	line := func(text string) string { return write("line.csv", head+"1000,nvml/gpu-0,5\n"+text+"\n") }
	domain := func(from, to string) string {
		changed := strings.Replace(good, from, to, 1)
		if changed == good {
			t.Fatalf("%q is not in the file", from)
		}
		return write("domain.csv", changed)
	}
	for name, c := range map[string]struct {
		path, want string
		parameters sdk.Table
	}{
		"no file":            {"/nowhere/x.csv", "/nowhere/x.csv: no such file or directory; name a trial's directory", nil},
		"relative":           {"runs/x", "recording runs/x: the path is relative, and a plugin runs in a directory of its own; write the path from / on", nil},
		"no trial.json":      {t.TempDir(), "it is no trial's directory", nil},
		"no samples stored":  {noPower, "power.parquet: no such file or directory; the trial has no samples", nil},
		"a pipe":             {pipe, "it is no file that can be read from end to end more than once (p", nil},
		"empty file":         {write("x.csv", ""), "it is empty; record again", nil},
		"cut off":            {write("x.parquet", string(whole[:len(whole)/2])), "it is cut off; copy it again", nil},
		"only magic":         {write("x.parquet", "PAR1"), "it is cut off", nil},
		"huge footer":        {write("x.parquet", "PAR1\xff\xff\xff\x7fPAR1"), "it is cut off", nil},
		"zeros inside":       {write("x.parquet", string(whole[:40])+strings.Repeat("\x00", 2000)+string(whole[2040:])), "x.parquet: ", nil},
		"foreign columns":    {foreign, "it has no column domain of type", nil},
		"no description":     {noNote, "it does not describe its domains (llem.recordings)", nil},
		"no head":            {write("x.csv", "1000,gpu,5\n"), `line 1: "1000,gpu,5" is not the line of column names`, nil},
		"head only":          {write("x.csv", strings.Split(good, "\n")[1]+"\n"), "it has no line stamp_ns,domain,value", nil},
		"no domain":          {write("x.csv", "stamp_ns,domain,value\n1,a,2\n"), "describes a domain, so its samples have no unit", nil},
		"none":               {write("x.csv", head), "it has no sample; a source needs two", nil},
		"one":                {write("x.csv", head+"1000,nvml/gpu-0,5\n"), "it has one sample, and energy needs two", nil},
		"one of the chosen":  {line("2000,nvml/gpu-0,6\n2000,rapl/package-0,1"), "it has one sample", sdk.Table{"domains": []any{"rapl/package-0"}}},
		"unordered":          {line("999,nvml/gpu-0,5"), "the stamp 999 of \"nvml/gpu-0\" is not behind the one before it, 1000; sort the file", nil},
		"twice":              {line("1000,nvml/gpu-0,5"), "keep one sample for each stamp", nil},
		"NaN":                {line("2000,nvml/gpu-0,NaN"), `line 6: value "NaN" is no whole number of counts; leave out what the sensor did not give`, nil},
		"a fraction":         {line("2000,nvml/gpu-0,1.5"), `line 6: value "1.5"`, nil},
		"2^63":               {line("2000,nvml/gpu-0,9223372036854775808"), `line 6: value "9223372036854775808"`, nil},
		"below zero":         {line("-5,rapl/package-0,1"), "the stamp -5 is no stamp", nil},
		"beyond all clocks":  {line("9223372036854775807,nvml/gpu-0,1"), "is no stamp", nil},
		"no stamp":           {line("x,nvml/gpu-0,1"), `line 6: stamp_ns "x"`, nil},
		"two columns":        {line("2000,nvml/gpu-0"), "line 6: \"2000,nvml/gpu-0\" has not the 3 columns", nil},
		"four columns":       {line("2000,nvml/gpu-0,1,0"), "has not the 3 columns", nil},
		"unknown domain":     {line("2000,gpu,1"), `the domain "gpu" is not described`, nil},
		"binary":             {write("x", strings.Repeat("\x00", 3<<20)), "line 1 is longer than 1048576 bytes", nil},
		"misspelt key":       {domain("unit_den", "unit_dem"), `line 2: the description of a domain cannot be read: json: unknown field "unit_dem"`, nil},
		"no unit":            {domain(`"unit_num": 1, "unit_den": 1000000`, `"unit_num": 1`), "unit_num/unit_den = 1/0", nil},
		"unknown kind":       {domain("cpu_package", "cpu"), `domain "rapl/package-0": kind "cpu" is unknown; known are gpu,`, nil},
		"unknown reading":    {domain("interval_mean", "mean"), `reading "mean" is unknown`, nil},
		"no average":         {domain("interval_mean", "trailing_mean"), "needs averaging_ns", nil},
		"two of a name":      {domain("nvml/gpu-0", "rapl/package-0"), "two domains are called", nil},
		"inside of nothing":  {domain(`"kind": "gpu"`, `"kind": "gpu", "contained_in": "node"`), `contained_in "node" is no domain of the file`, nil},
		"inside itself":      {domain(`"kind": "gpu"`, `"kind": "gpu", "contained_in": "nvml/gpu-0"`), "or lies within it", nil},
		"not in the file":    {write("x.csv", good), `has no domain "psys"; it has rapl/package-0, nvml/gpu-0`, sdk.Table{"domains": []any{"psys"}}},
		"a loop of a moment": {line("2000,nvml/gpu-0,1"), "too short to be played in a loop", sdk.Table{"loop": true}},
		"the last epoch":     {write("x.csv", strings.Replace(head, "value\n", "value,epoch\n", 1)+"1,nvml/gpu-0,1,0\n900000000,nvml/gpu-0,1,4294967295\n"), "the last epoch that there can be", sdk.Table{"loop": true}},
		"longer than up":     {line("4000000000000000000,nvml/gpu-0,1"), "longer than this machine is up", sdk.Table{"start": "aligned"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(c.path, c.parameters)
			var told *sdk.Error
			if err == nil || !errors.As(err, &told) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) || told.Advice == "" {
				t.Errorf("%v\ndoes not say %q and what to do", err, c.want)
			}
		})
	}
	if domains, err := open(write("x.csv", strings.ReplaceAll(good, "\n", "\r\n")), nil); err != nil || len(domains) != 2 || *domains[1].Accuracy.GainRel != 0.05 {
		t.Errorf("lines that end with CR LF: %+v, %v", domains, err)
	}
}

// A file that changes under its reader ends the stream; what is missing then is not
// taken for silence.
func TestAFileThatChanges(t *testing.T) {
	long := side(9 * blockRows)
	trial := trialDir(t, long)
	for path, change := range map[string]func(path string) error{
		file(t, "cut.csv", long):            func(path string) error { return os.Truncate(path, int64(len(long)/2)) },
		file(t, "grown.csv", long):          func(path string) error { return appendTo(path, "1,x,2\n") },
		filepath.Join(trial, powerFile):     func(path string) error { return appendTo(path, "PAR1") },
		file(t, "as it was.csv", long):      func(string) error { return nil },
		file(t, "another's.csv", side(100)): func(path string) error { return os.Rename(path, path+".old") }, // its content stays
	} {
		s := &source{}
		if _, err := s.Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"path": path, "start": startAligned}}); err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		v := s.voices[0]
		v.emit = func(sdk.SampleBatch) error { return nil }
		_, _, err := v.play(latestNs)
		if err != nil {
			err = s.broke(err)
		}
		if same := strings.Contains(path, "'s") || strings.Contains(path, "was"); same != (err == nil) || !same && !strings.Contains(err.Error(), "it was changed while it was played: leave it alone") {
			t.Errorf("%s: %v", path, err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// FuzzCSV: any text is played or refused; nothing panics and nothing is endless.
func FuzzCSV(f *testing.F) {
	f.Add(side(3))
	f.Add(head + "5,nvml/gpu-0,NaN\n")
	f.Add(strings.Replace(side(3), "value\n", "value,epoch\n", 1))
	f.Add(`# {"domain": {"id": "a", "kind": "gpu", "reading": "counter", "unit_num": 1, "unit_den": 1, "contained_in": "a"}}` + "\nstamp_ns,domain,value\n1,a,1\n")
	f.Add(`# {"domain": {"id": "a", "kind": "gpu", "reading": "counter", "unit_num": 1, "unit_den": 1}, "complete_until_ns": 9, "gaps": [{"from_ns": 1, "to_ns": 4, "lost": 2}],
"problems": [{"code": "sequence_repeat", "count": 18446744073709551615, "first_ns": 1, "last_ns": 4}]}` + "\nstamp_ns,domain,value,epoch\n1,a,1,0\n4,a,2,7\n")
	f.Fuzz(func(t *testing.T, text string) { plays(t, file(t, "x.csv", text)) })
}

// FuzzParquet is the same for a damaged power.parquet.
func FuzzParquet(f *testing.F) {
	whole, err := os.ReadFile(filepath.Join(trialDir(f, side(50)), powerFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, text []byte) { plays(t, file(t, "x.parquet", string(text))) })
}

// plays opens a file and plays all of it, if that is possible.
func plays(t *testing.T, path string) {
	s := &source{}
	if _, err := s.Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"path": path}}); err != nil {
		return
	}
	defer s.Close(t.Context())
	last := map[string]int64{}
	for _, v := range s.voices {
		v.emit = func(b sdk.SampleBatch) error {
			if len(b.MonoNs) > 8*mostSamples {
				t.Errorf("a batch of %d samples", len(b.MonoNs))
			}
			last[v.id] = max(last[v.id], b.CompleteUntilNs)
			return nil
		}
		if _, more, err := v.play(latestNs); err == nil && more {
			t.Errorf("%s goes on for ever", v.id)
		}
	}
}
