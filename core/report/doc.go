// Package report is the last step of the pipeline: it turns the trials of a
// result directory into estimates and shows them.
//
// Summarize makes a Summary of the trials; everything else renders it: Table
// for people, JSON and CSV for machines. A Summary can be made again at any
// time from the directory alone, so nothing here is a source of truth.
//
// Random and systematic uncertainty stay apart from one end to the other, and
// numbers of different energy boundaries never meet in a comparison.
package report
