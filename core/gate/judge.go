package gate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
)

// Judge asks every gate about a trial. Gates over several trials are core/stats'
// and not part of the verdict.
func Judge(in Input) Verdict {
	v := Verdict{Passed: []string{}, Found: []string{}}
	for _, g := range Table() {
		switch {
		case g.Scope == Cell:
		case g.Emitter != "":
			v.emitted(g, in)
		case in.emitted(g.Code): // said already
			v.Found = append(v.Found, g.Code)
		default:
			v.ask(g, in)
		}
	}
	return v
}

func (in Input) emitted(code string) bool {
	return slices.ContainsFunc(in.Emitted, func(w energy.Warning) bool { return w.Code == code })
}

// JudgeStatic asks the gates that need no trial: how devices are set, and what
// their sensors are. in needs no more than Devices and Headline.
func JudgeStatic(in Input) Verdict {
	v := Verdict{Passed: []string{}, Found: []string{}}
	for _, d := range in.Devices {
		in.GPUs = append(in.GPUs[:len(in.GPUs):len(in.GPUs)], d.Facts.UUID)
	}
	for _, g := range Table() {
		if g.Scope == Static && g.judge != nil {
			v.ask(g, in)
		}
	}
	return v
}

// emitted files a gate that another package judges.
func (v *Verdict) emitted(g Gate, in Input) {
	j := &judging{Input: in, gate: g}
	if len(in.Windows) == 0 {
		j.unknown("the trial has no window")
	} else {
		g.needs(j)
	}
	v.file(j, in.emitted(g.Code))
}

func (v *Verdict) ask(g Gate, in Input) {
	j := &judging{Input: in, gate: g, worst: map[string]ranked{}}
	g.judge(j)
	v.Findings = append(v.Findings, j.findings()...)
	v.file(j, len(j.worst) > 0)
}

// file says what became of a gate. What was found does not hide what could not
// be looked at.
func (v *Verdict) file(j *judging, found bool) {
	code := j.gate.Code
	if found {
		v.Found = append(v.Found, code)
	}
	switch {
	case len(j.reasons) > 0:
		v.unknown(code, strings.Join(j.reasons, "; "))
	case found:
	case j.seen:
		v.Passed = append(v.Passed, code)
	case j.skipped:
		v.NotApplicable = append(v.NotApplicable, code)
	default: // a gate that saw nothing has not passed
		v.unknown(code, "missing: "+j.gate.Needs)
	}
}

func (v *Verdict) unknown(code, reason string) {
	if v.Unknown == nil {
		v.Unknown = map[string]string{}
	}
	v.Unknown[code] = reason
}

// judging is one gate at work.
type judging struct {
	Input
	gate Gate

	// worst finding by subject, so that ten windows say a thing once.
	worst   map[string]ranked
	subject string   // what is looked at, such as a GPU; "" = the trial
	silent  string   // the last subject with a reason
	reasons []string // why something could not be judged, one of each subject
	seen    bool     // something was judged
	skipped bool     // something does not apply
}

type ranked struct {
	Finding
	badness float64
}

// saw says that the gate had its input for something.
func (j *judging) saw() { j.seen = true }

// skip says that the gate does not apply to something.
func (j *judging) skip() { j.skipped = true }

// unknown says that input is missing for something. Of ten windows of a subject
// the first is told.
func (j *judging) unknown(format string, args ...any) {
	if len(j.reasons) > 0 && j.silent == j.subject {
		return
	}
	j.silent = j.subject
	if reason := fmt.Sprintf(format, args...); !slices.Contains(j.reasons, reason) {
		j.reasons = append(j.reasons, reason)
	}
}

// find keeps the worst finding of each subject: by severity, then by badness.
func (j *judging) find(severity energy.Severity, subject string, badness float64, format string, args ...any) {
	f := ranked{badness: badness, Finding: Finding{
		Code: j.gate.Code, Severity: severity, Subject: subject, Message: fmt.Sprintf(format, args...), Advice: j.advice(subject),
	}}
	old, has := j.worst[subject]
	if !has || cmp.Or(cmp.Compare(rank(severity), rank(old.Severity)), cmp.Compare(badness, old.badness)) > 0 {
		j.worst[subject] = f
	}
}

func rank(s energy.Severity) int {
	return slices.Index([]energy.Severity{energy.SeverityInfo, energy.SeverityWarning, energy.SeverityFatal}, s)
}

func (j *judging) findings() []Finding {
	var out []Finding
	for _, f := range j.worst {
		out = append(out, f.Finding)
	}
	slices.SortFunc(out, func(a, b Finding) int { return cmp.Compare(a.Subject, b.Subject) })
	return out
}

// advice fills the GPU's names in.
func (j *judging) advice(subject string) string {
	gpu, defaultW := subject, "DEFAULT"
	for _, d := range j.Devices {
		if d.Facts.UUID == subject && d.Facts.DefaultLimitMilliW != nil {
			defaultW = strconv.FormatInt(*d.Facts.DefaultLimitMilliW/1000, 10)
		}
	}
	return strings.NewReplacer("{gpu}", cmp.Or(gpu, "GPU"), "{default_w}", defaultW).Replace(j.gate.Advice)
}

// gpus calls look for each GPU of the deployment that a source describes. What
// no source describes is unknown; a cell without GPUs is not judged.
func (j *judging) gpus(look func(Device)) {
	if len(j.GPUs) == 0 {
		j.skip()
	}
	defer func() { j.subject = "" }()
	for _, id := range j.GPUs {
		j.subject = id
		if d, ok := j.device(id); ok {
			look(d)
		} else {
			j.unknown("no energy source describes the state of %s", id)
		}
	}
}

func (j *judging) device(id string) (Device, bool) {
	i := slices.IndexFunc(j.Devices, func(d Device) bool { return d.Facts.UUID == id })
	if i < 0 {
		return Device{}, false
	}
	return j.Devices[i], true
}

// windowsNs is the length of all windows together.
func (j *judging) windowsNs() int64 {
	var sum int64
	for _, w := range j.Windows {
		sum += w.lengthNs()
	}
	return sum
}

func (w Span) lengthNs() int64 { return w.ToNs - w.FromNs }

func (w Span) seconds() float64 { return float64(w.lengthNs()) / 1e9 }

// beyond a limit is also what is no number.
func beyond(value, limit float64) bool { return math.IsNaN(value) || value > limit }
