// Package study is the first step of the pipeline: a study file becomes a
// Study, and a Study becomes cells.
//
//	Load    file -> Study    strict: every key is known or is an error
//	Expand  Study -> cells   sweep, dependent groups, explicit experiments
//
// fields.go is the one table of keys; it drives reading, checking, sweeping
// and the JSON schema. A plugin's own keys are kept as they are: their schema
// is the plugin's, and Study.ProblemAt gives findings about them a place in
// the file.
package study
