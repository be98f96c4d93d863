package gate

import (
	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
)

// Input is everything that the gates look at. nil = not known, never 0.
type Input struct {
	// Profile of the protocol: quick, standard or publication.
	Profile string
	// Loop is batch, closed or open; Concurrency the requests kept in flight by a
	// closed one.
	Loop        string
	Concurrency int
	// Exact output lengths were asked for, of OutputTokens each.
	Exact        bool
	OutputTokens int
	// SharedPrefix: the prompts begin alike on purpose.
	SharedPrefix bool

	// RunNs is the length of the measured Run.
	RunNs   int64
	Windows []Span
	// Headline domains, whose joules are added up.
	Headline []Domain
	Audits   []Audit

	// GPUs of the deployment by UUID; none for a cell on CPU.
	GPUs    []string
	Devices []Device
	// OwnPIDs are the deployment's processes and their descendants.
	OwnPIDs []int

	// Conditioned is what conditioning could see; nil = there was none.
	Conditioned *Conditioned
	// Cooldown before a cold Run; nil = the hot regime.
	Cooldown *Cooldown

	Host *Host
	// OutputCounted: the engine counts its output tokens, before and after the Run.
	OutputCounted bool
	// CachedPromptTokens that the engine took from its cache in the Run.
	CachedPromptTokens *int64
	// RunningMean is how many requests the engine worked on at a time.
	RunningMean *float64
	// ClockStepNs is by how much the wall clock moved against the monotonic one
	// between Load and the end of the Run.
	ClockStepNs *int64

	// Emitted are the warnings that other packages gave already.
	Emitted []energy.Warning
}

// Span is one measured window with the work in it.
type Span struct {
	FromNs, ToNs int64
	Requests     int64
	// Failed, aborted and capped requests of these. Capped ones ended at the
	// most output tokens allowed; nil = the backend names no reasons.
	Failed, Aborted int64
	Capped          *int64
	OutputTokens    int64
	// OtherLengths counts requests without the exact output length asked for.
	OtherLengths int64
	// PromptOff and OutputOff are by how much, relative, the tokens stamped in
	// the window differ from those of its requests.
	PromptOff, OutputOff float64
	// LagGrowth is by how much, in s for each s, requests of an open loop waited
	// longer than those before them, and LagError its standard error.
	LagGrowth, LagError *float64
	// Energy of each headline domain that has joules.
	Energy []energy.Window
	// EnergyJ is their sum; nil = there is none.
	EnergyJ *float64
}

// Domain is a headline domain with its update period.
type Domain struct {
	energy.Domain
	PeriodNs int64
}

// Device is a GPU over one trial.
type Device struct {
	Facts device.Facts
	// Before Load and after the Run.
	Before, After *device.Snapshot
	// Readings during the Run, rising.
	Readings []device.Reading
	// Own is how many processes of the deployment hold this GPU.
	Own int
	// PowerBeforeW is its mean power just before Load, ContextIdleW that with
	// the model loaded and no request.
	PowerBeforeW, ContextIdleW *float64
}

// Conditioned is what there was to judge by whether a load had settled.
type Conditioned struct {
	// PowerKnown: the slope of the headline's power.
	PowerKnown bool
	// Silent are the GPUs that did not tell their temperature.
	Silent []string
}

// Cooldown is how warm the GPUs were before the load and before the measured Run:
// the one that had risen most. nil = no GPU tells.
type Cooldown struct {
	StartC, EndC *float64
	// Silent are the GPUs that did not tell.
	Silent []string
}

// Host is what others did on the machine during the Run.
type Host struct {
	// OthersShare of all CPU time that went to processes that are not ours; nil
	// = not known, for the reason in Absent.
	OthersShare *float64
	// ThrottledNs that the control group held our processes back.
	ThrottledNs *int64
	Absent      string
}
