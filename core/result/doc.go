// Package result is the hinge of the pipeline: what measuring writes and
// everything after it reads. A study's directory is the only interface
// between the two, so a report can be made again at any time, on any machine,
// from the directory alone.
//
// A Trial is one load of one cell in one block: one record (trial.json), its
// power samples (power.parquet), its requests (requests.parquet) and its log.
// It is worked on in attempts/ and published into runs/ by one rename.
package result
