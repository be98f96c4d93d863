package energy

// Severity says what a warning does to the number beside it.
type Severity string

const (
	// SeverityInfo is worth knowing and changes nothing.
	SeverityInfo Severity = "info"
	// SeverityWarning puts a mark beside the number.
	SeverityWarning Severity = "warning"
	// SeverityFatal keeps the number but takes it out of every ranking.
	SeverityFatal Severity = "fatal"
)

// Warning is a doubt as data: it travels inside results.
type Warning struct {
	// Code is stable and meant for programs (sample_gap, duty_sampled, ...).
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	// Message is one sentence with the numbers.
	Message string `json:"message"`
	// Domain is the ID of the energy domain concerned, or "".
	Domain string `json:"domain,omitempty"`
}

// Codes of the warnings and window errors of this package.
const (
	CodeBadStamp        = "implausible_stamp"    // a stamp below zero or far beyond all others
	CodeStampsBackwards = "stamps_backwards"     // a stamp older than its predecessor
	CodeDuplicate       = "duplicate_sample"     // same stamp, same value
	CodeConflict        = "conflicting_sample"   // same stamp, other value
	CodeBatchShape      = "batch_shape"          // stamps and values differ in number
	CodeSequenceGap     = "sequence_gap"         // a batch is missing
	CodeSequenceRepeat  = "sequence_repeat"      // a batch came twice or late
	CodeDropped         = "samples_dropped"      // the source says it lost samples
	CodeEpochBackwards  = "epoch_backwards"      // a counter epoch fell
	CodeWatermark       = "watermark_broken"     // a sample or mark older than a given watermark
	CodeZeroSample      = "zero_samples"         // 0 W, or next to nothing, of a device that always draws
	CodeImplausible     = "implausible_sample"   // more power than there can be
	CodeDutyUnknown     = "duty_unknown"         // nobody says how much of the time the sensor looks
	CodeSampleGap       = "sample_gap"           // more than three periods without a sample, or samples known to be lost
	CodeLowCoverage     = "low_coverage"         // less than 95 % of the window covered
	CodeDutySampled     = "duty_sampled"         // the sensor looks at part of the time only
	CodeEdgeHeld        = "edge_held"            // no sample beyond an edge: its neighbour was held
	CodeShortWindow     = "shorter_than_average" // window shorter than the sensor's average
	CodeEdgeUnresolved  = "edge_unresolved"      // raw counter difference
	CodeEstimated       = "estimated_source"     // modelled joules
	CodeReplayed        = "replayed_source"      // a recording played again; sdk.CodeReplayedSource
	CodeSimulated       = "simulated_source"     // of no machine; sdk.CodeSimulatedSource
	CodeZeroOrBackwards = "energy_zero_or_backwards"
	CodeNegativePower   = "negative_power"
	CodeEpochChange     = "epoch_change"
	CodeNoSamples       = "no_samples"
	CodeNotCovered      = "not_covered"
	CodeBadSpan         = "bad_span"
	CodeIncomplete      = "incomplete"
	CodeCounterVsPower  = "counter_vs_power"
	CodeModuleScope     = "module_scope"
	CodeNoHeadline      = "no_headline_energy"
)
