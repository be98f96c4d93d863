package result

import (
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/sdk"
)

// SchemaVersion is the version of every record that this package writes.
// Readers migrate older ones.
const SchemaVersion = 1

// Status of a trial.
type Status string

// The states of a finished trial. An unfinished one stays in attempts/.
const (
	StatusOK     Status = "ok"
	StatusFailed Status = "failed"
	// StatusInterrupted: the study was ended from outside while the trial ran. It has no
	// result and says nothing of the deployment; its place in the plan is still empty.
	StatusInterrupted Status = "interrupted"
)

// CodeInterrupted is the code of an interrupted trial's Failure.
const CodeInterrupted = "interrupted"

// Trial is one load, one Run, and its windows, of one cell in one block.
type Trial struct {
	SchemaVersion int    `json:"schema_version"`
	Study         string `json:"study"`
	Cell          Cell   `json:"cell"`
	// Block is the replicate, from 0; Position its place in the block's order.
	Block    int `json:"block"`
	Position int `json:"position"`

	Status  Status   `json:"status"`
	Failure *Failure `json:"failure,omitempty"`
	// Ranked is false if a warning of severity fatal keeps the trial out of
	// estimates; it is stored and shown all the same.
	Ranked   bool             `json:"ranked"`
	Warnings []energy.Warning `json:"warnings"`

	Host        string `json:"host"`
	BootID      string `json:"boot_id"`
	StartedUTC  string `json:"started_utc"`  // RFC 3339
	FinishedUTC string `json:"finished_utc"` // RFC 3339

	CoreVersion string   `json:"core_version"`
	Plugin      Plugin   `json:"plugin"`
	Sources     []Source `json:"sources"`

	Load *Load `json:"load,omitempty"`
	Work *Work `json:"work,omitempty"`
	// WarmUp is the Run before the measured one; nil if there was none.
	WarmUp *Run `json:"warm_up,omitempty"`
	Run    *Run `json:"run,omitempty"`
	// Conditioning is nil in the cooldown regime, which has none.
	Conditioning *Conditioning `json:"conditioning,omitempty"`
	// Regime is "cooldown", or empty for the hot one; they are never compared.
	Regime   string    `json:"regime,omitempty"`
	Cooldown *Cooldown `json:"cooldown,omitempty"`
	// IdlePowerW is the mean power of each domain in context idle: with the model
	// loaded and no request, by domain id. Metadata: it is never subtracted.
	IdlePowerW map[string]float64 `json:"idle_power_w,omitempty"`
	Idle       *Idle              `json:"idle,omitempty"`
	// ColdIdlePowerW is that before the load, in the span ColdIdle; nil where the
	// recording began, or the trial before ended, less than 1 s earlier.
	ColdIdlePowerW map[string]float64 `json:"cold_idle_power_w,omitempty"`
	ColdIdle       *Idle              `json:"cold_idle,omitempty"`

	// Boundary says what the headline's joules cover; Headline names the
	// domains that are summed for it.
	Boundary string   `json:"boundary"`
	Headline []string `json:"headline"`
	Windows  []Window `json:"windows"`

	// Gates says what became of each gate; what they found is in Warnings.
	Gates *gate.Verdict `json:"gates,omitempty"`
	// Audit holds the headline's energy against second readings of its devices,
	// over the Run and over each window. Nothing is corrected by it.
	Audit []gate.Audit `json:"audit,omitempty"`
	// Devices are the GPUs of the deployment, as far as a source sees them.
	Devices []Device `json:"devices,omitempty"`
	// HostLoad is who used the processors during the Run.
	HostLoad *environ.Shares `json:"host_load,omitempty"`
	// Files beside the record of a published trial; nil in older records, of which
	// nobody can tell whether they are still the same.
	Files []File `json:"files,omitempty"`

	// Dir is where the trial was read from, relative to the result directory.
	Dir string `json:"-"`
}

// Cell is the configuration measured, with what the study wrote.
type Cell struct {
	ID         string    `json:"id"`
	Label      string    `json:"label"`
	Instance   string    `json:"instance"`
	Parameters sdk.Table `json:"parameters"`
	// Definition is the canonical text that ID is a hash of.
	Definition string         `json:"definition,omitempty"`
	Axes       map[string]any `json:"axes,omitempty"`
	Loop       sdk.Loop       `json:"loop"`
	// Grouped: windows of one load stand in for loads (flagged, not ranked).
	Grouped bool `json:"grouped,omitempty"`
	// Probe: the cell is measured for others, to split their joules, and never
	// ranked. ProbeID names the cell that is this one's probe.
	Probe   bool   `json:"probe,omitempty"`
	ProbeID string `json:"probe_id,omitempty"`
}

// Failure says why a trial has no result.
type Failure struct {
	// Phase is what was being done: "start", "load", "idle", "warm-up",
	// "prepare", "run", "window", "write".
	Phase string `json:"phase"`
	// Code is an sdk.Code or one of the core's own, such as heartbeat_lost.
	Code    string `json:"code"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"`
	// StderrTail holds the plugin's last lines.
	StderrTail []string         `json:"stderr_tail,omitempty"`
	Numbers    map[string]int64 `json:"numbers,omitempty"`
	Stack      string           `json:"stack,omitempty"`
}

// Plugin is who did the work.
type Plugin struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	SDKVersion string `json:"sdk_version"`
	// Digest over the manifest and every file of the plugin.
	Digest string `json:"digest"`
}

// Source is an energy source with its domains.
type Source struct {
	Name    string          `json:"name"`
	Plugin  Plugin          `json:"plugin"` // empty for one built in
	Domains []energy.Domain `json:"domains"`
	// Why says how the source was chosen: "named by the study", "auto: ...".
	Why string `json:"why"`
	// Warnings are what the source said of what it opened; they are among those
	// of the trial, too.
	Warnings []energy.Warning `json:"warnings,omitempty"`
}

// Load is what was loaded, read back from the engine.
type Load struct {
	BeginNs int64            `json:"begin_ns"`
	EndNs   int64            `json:"end_ns"`
	Report  sdk.LoadReport   `json:"report"`
	Stages  []sdk.StageEvent `json:"stages"`
}

// Work identifies the requests that were run.
type Work struct {
	// Hash over the definition (data, seed, lengths, sampling).
	Hash string `json:"hash"`
	// TokenHash over all prepared requests, hex.
	TokenHash string `json:"token_hash"`
	Requests  int    `json:"requests"`
	// PassHashes are token hashes of the passes that were sent whole, in order,
	// hex; arms of a comparison must agree on each pass that both ran. A pass
	// is what workload.requests of the study says, in closed loops, too.
	PassHashes []string `json:"pass_hashes,omitempty"`
	// Schedule of an open loop's arrivals; nil for other loops.
	Schedule *Schedule `json:"schedule,omitempty"`
}

// Run is one Run as it was driven. Its completions are in requests.parquet.
type Run struct {
	Spec     sdk.RunSpec      `json:"spec"`
	BeginNs  int64            `json:"begin_ns"`
	EndNs    int64            `json:"end_ns"`
	Reason   sdk.FinishReason `json:"reason"`
	Before   *sdk.Counters    `json:"counters_before,omitempty"`
	After    *sdk.Counters    `json:"counters_after,omitempty"`
	Passes   []sdk.PassRecord `json:"passes,omitempty"`
	Requests int64            `json:"requests"`
	Failed   int64            `json:"failed"`
	// EnergyJ is the headline's energy from begin to end; nil where a domain of
	// it does not cover the whole Run.
	EnergyJ *float64 `json:"energy_j,omitempty"`
	// Client is how the client fared that made the load; nil = none did.
	Client *sdk.ClientHealth `json:"client,omitempty"`
	// Warnings of the backend; those of the measured Run are among the trial's.
	Warnings []sdk.Warning `json:"warnings,omitempty"`
}

// Conditioning is the part of the Run before the window.
type Conditioning struct {
	FromNs  int64 `json:"from_ns"`
	ToNs    int64 `json:"to_ns"`
	Settled bool  `json:"settled"`
	// Reason names each criterion with its figure and threshold.
	Reason string `json:"reason"`
	// Passes that were over; in a closed loop, rounds of all requests in flight.
	Passes int64 `json:"passes"`
	// PassTimeCV of the last three; nil = not known, likewise below.
	PassTimeCV *float64 `json:"pass_time_cv,omitempty"`
	// PowerSlopeRel is the change in 30 s of the headline's power, as a fraction of
	// its mean PowerW; seen over StretchNs.
	PowerSlopeRel *float64 `json:"power_slope_rel,omitempty"`
	PowerW        *float64 `json:"power_w,omitempty"`
	StretchNs     int64    `json:"stretch_ns,omitempty"`
	// TemperatureRiseC is the change over the stretch, of the device where it is
	// greatest.
	TemperatureRiseC *float64 `json:"temperature_rise_c,omitempty"`
	// TemperatureUnknown are the GPUs that did not tell theirs for most of it.
	TemperatureUnknown []string `json:"temperature_unknown,omitempty"`
}

// Window is one measured span of a Run: one cut for time and energy alike.
type Window struct {
	Index  int   `json:"index"`
	FromNs int64 `json:"from_ns"`
	ToNs   int64 `json:"to_ns"`
	// GapsNs is idle time between passes that was put in against a sensor that
	// looks at part of all time; joules, tokens and times are of the passes alone.
	GapsNs int64 `json:"gaps_ns,omitempty"`
	// Rule says how the edges were chosen: "passes 7-19", "completions 64-256".
	Rule string `json:"rule"`
	// Arrivals in the window, of an open loop.
	Arrivals *Arrivals `json:"arrivals,omitempty"`
	// Passes in the window (batch) and requests completed in it.
	Passes   int   `json:"passes,omitempty"`
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
	// Tokens are counted, never taken from the plan.
	PromptTokens  int64 `json:"prompt_tokens"`
	OutputTokens  int64 `json:"output_tokens"`
	PaddingTokens int64 `json:"padding_tokens,omitempty"`

	// Domains holds every domain's joules; only those named in Trial.Headline
	// are part of EnergyJ.
	Domains []DomainEnergy `json:"domains"`
	// EnergyJ is the headline's energy; nil if a domain of it has none.
	EnergyJ *float64 `json:"energy_j"`
	// Systematic bounds of EnergyJ, relative; nil = not stated by the sensor.
	SystematicRel *float64 `json:"systematic_rel"`
	// EdgeRel is the modelled random error of EnergyJ's edges, one sd.
	EdgeRel *float64 `json:"edge_rel"`

	EnergyPerOutputTokenJ *float64 `json:"energy_per_output_token_j"`
	EnergyPerRequestJ     *float64 `json:"energy_per_request_j"`
	OutputTokensPerS      float64  `json:"output_tokens_per_s"`
	MeanPowerW            *float64 `json:"mean_power_w"`
	// Phases splits EnergyJ at the first tokens of static batches; where it is nil
	// PhasesAbsent says why.
	Phases       *Phases `json:"phases,omitempty"`
	PhasesAbsent string  `json:"phases_absent,omitempty"`
	// Latencies of the requests of the window, from the intended send or, in passes of
	// batches, the actual one; nil where
	// LatenciesAbsent says why, by the names that they have here.
	TTFT *Quantiles `json:"ttft,omitempty"`
	TPOT *Quantiles `json:"tpot,omitempty"`
	E2E  *Quantiles `json:"e2e,omitempty"`
	// From the actual send, and how much later than the intended one that was.
	TTFTSent        *Quantiles        `json:"ttft_sent,omitempty"`
	E2ESent         *Quantiles        `json:"e2e_sent,omitempty"`
	Queue           *Quantiles        `json:"queue,omitempty"`
	ArrivalGaps     *ArrivalGaps      `json:"arrival_gaps,omitempty"`
	LatenciesAbsent map[string]string `json:"latencies_absent,omitempty"`
	// Goodput is nil if the study has no [slo].
	Goodput *Goodput `json:"goodput,omitempty"`

	Warnings []energy.Warning `json:"warnings,omitempty"`
}

// DurationNs is the length of the window without its gaps.
func (w Window) DurationNs() int64 { return w.ToNs - w.FromNs - w.GapsNs }

// DomainEnergy is one domain's part in a window.
type DomainEnergy struct {
	DomainID  string `json:"domain_id"`
	Kind      string `json:"kind"`
	Source    string `json:"source"`
	Estimated bool   `json:"estimated,omitempty"`
	// Window is zero, and not in the file, where Error says why no energy could be
	// computed. Older files hold it with zeros.
	Window energy.Window `json:"window,omitzero"`
	Error  string        `json:"error,omitempty"`
}
