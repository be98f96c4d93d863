package gate

// Plain is a code that is no gate: a note that goes with a result, or a reason
// why there is none.
type Plain struct{ Code, Meaning string }

// Notes are the warnings without a threshold to be set against.
func Notes() []Plain {
	return []Plain{
		// How the recording of a sensor was.
		{"implausible_stamp", "a sample with an impossible stamp, below zero or an hour beyond all others and the watermark, was left out"},
		{"zero_samples", "samples of 0 W, or next to nothing, of a device that always draws were taken as lost; a window of nothing else has no joules"},
		{"implausible_sample", "samples, or a rise of a counter, of more power than there can be were not taken as joules"},
		{"duty_unknown", "nobody says what share of the time the sensor looks at; a quarter is assumed, for coverage and error"},
		{"stamps_backwards", "a sample older than its predecessor was left out"},
		{"duplicate_sample", "a sample came twice"},
		{"conflicting_sample", "two samples of one stamp differ; the first was kept"},
		{"batch_shape", "a batch with stamps and values of different number was left out"},
		{"sequence_gap", "a batch of samples is missing"},
		{"sequence_repeat", "a batch of samples came twice or late"},
		{"samples_dropped", "the source says that it lost samples"},
		{"epoch_backwards", "a batch of an older start of the counter was left out"},
		{"watermark_broken", "a sample came that its source had called complete"},
		{"edge_held", "no sample lies beyond an edge of the window: the last one was held, for three periods at most"},
		{"shorter_than_average", "the window is shorter than the sensor's average"},
		{"edge_unresolved", "an edge of the window is known only to the counter's period"},
		{"source_restarted", "an energy source had stopped and was started again"},
		{"replayed_source", "the samples are of a recording, not of this machine at this time"},
		{"simulated_source", "the samples are of a simulator, of no machine"},
		{"source_stuck", "an energy source delivered nothing for some seconds"},
		{"source_stopped", "an energy source ended early"},
		{"ring_late", "the driver's ring was overwritten before it was read; the samples count as dropped"},
		{"ring_retimed", "stamps of the driver's ring ran away from the monotonic clock and were placed anew"},
		{"counter_restarted", "the energy counter fell: its driver was loaded anew"},
		{"gpu_lost", "a GPU delivers nothing any more"},
		{"gpu_unreadable", "a GPU has no sensor that can be read"},
		{"read_failed", "a sensor's call failed and was tried again"},
		{"sensor_ended", "a sensor failed too often and was given up"},
		{"samples_refused", "values or stamps that no sensor can mean were left out"},
		{"visible_devices", "CUDA_VISIBLE_DEVICES does not say clearly which GPUs"},
		{"cache_unwritable", "what was found out about the sensors could not be kept"},
		{"events_left_out", "a source noticed more than is kept"},
		{"no_pass_gaps", "a sensor that looks at part of the time asks for gaps between passes, and the backend cannot make them"},
		{"few_gapped_passes", "a window with gaps has fewer than 10 passes, so the load may still be in step with the sensor"},
		{"idle_power_unknown", "the power with the model loaded and no request could not be computed"},
		{"sparse_check", "a counter beside power samples of the same devices is read seldom, by design: it checks whole Runs and is rough over single windows"},
		{"domain_without_energy", "a domain beside the headline has no joules"},
		// What the engine and the parameters are.
		{"random_weights", "speed and energy are real, the text is not"},
		{"vocab_unknown", "the backend does not tell its vocabulary"},
		{"warning_parameter", "the backend's check warns of a parameter"},
		{"dormant_parameter", "a parameter has no effect"},
		{"metric_not_finite", "a metric of the engine was no number and was left out"},
		{"resolved_not_finite", "a parameter as the engine resolved it was no number; it is kept as text"},
		// What the protocol did.
		{"gates_unknown", "gates without their input, with the reasons; they have not passed"},
		{"drain_cut", "an open loop's requests in flight at its end would have taken too long and were broken off; no window holds them"},
		{"work_capped", "fewer passes were prepared than the rate asks for, to bound memory"},
		{"work_not_hashed", "no whole pass was sent, so comparisons cannot check that both sides did the same work"},
		{"unload_failed", "the engine did not end well; the windows are whole"},
		{"work_dir_left", "the load's own files could not be removed"},
		{"log_incomplete", "not all lines of the plugin were written"},
		{"requests_incomplete", "not all requests of a failed trial were written"},
		{"record_incomplete", "of a failed trial only what it is and why it failed could be stored"},
		// What the summary noticed.
		{"no_headline_energy", "nothing covers the devices of the cell, so there is no headline"},
		{"different_boundaries", "cells whose joules cover different things are not compared"},
		{"mixed_methods", "joules that were made by different methods stand in one comparison"},
		{"baseline_not_ranked", "the cell of compare.baseline cannot be ranked: another stands in for it"},
		{"work_differs", "cells that did different work are not compared"},
		{"work_varies", "the study varies the workload or the regime: cells are compared only with those of the same"},
		{"model_changed", "the trials of a cell ran different models"},
		{"model_unknown", "the engine does not say which model it ran"},
		{"small_n", "too few samples for a method"},
		{"degenerate", "all samples are equal: the sensor is too coarse to see a spread, or there is none, as on a simulator without `noise`"},
		{"autocorrelated", "neighbouring loads are alike: the interval is too narrow"},
		{"spread_below_edge_model", "loads agree better than the sensor's edges should let them: the interval may be too narrow"},
		{"unequal_windows", "loads have different numbers of windows"},
		{"unequal_variance", "arms differ in spread and are not pooled"},
		{"incomplete_blocks", "a ratio is of fewer blocks than the row of one of its cells, or joules by phase of fewer than were run: the message says which"},
		{"interval_below_zero", "an interval of what cannot be negative goes below zero: too few samples"},
	}
}

// Reasons are the codes of failed trials, of windows without joules and of
// audits without a ratio.
func Reasons() []Plain {
	return []Plain{
		{"heartbeat_lost", "the backend stopped answering"},
		{"no_progress", "the backend answers and completes nothing"},
		{"trial_timeout", "limits.trial_timeout_s passed"},
		{"load_timeout", "limits.load_timeout_s passed"},
		{"window_not_reached", "the Run ended before its windows were full"},
		{"no_energy", "the headline has no joules in a window"},
		{"all_requests_failed", "no request of the warm-up completed"},
		{"interrupted", "the study was interrupted"},
		{"already_published", "another process measured this trial first"},
		{"record_unstorable", "the trial's record could not be written"},
		{"unknown", "the record does not say why"},
		{"epoch_change", "the sensor restarted in the window"},
		{"no_samples", "the recording has no samples"},
		{"not_covered", "the recording does not reach the window: the message and the window's warnings say which samples were left out (`zero_samples`: the sensor is stuck, `duplicate_sample`: it repeats itself, `stamps_backwards`: its clock is wrong); if they name none, the source began late or went silent"},
		{"bad_span", "the window is empty or reversed"},
		{"incomplete", "the source has not delivered what the window needs"},
		{"too_blunt", "edges and gaps leave 2 % or more of an audit open, so that agreement proves nothing"},
		{"no_ratio", "one of two readings has no joules, so they cannot be compared"},
	}
}
