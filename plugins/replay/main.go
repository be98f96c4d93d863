// Command replay is an energy source that plays a recording back: the power of
// a trial that was measured before, or a CSV file. So any recording becomes a
// test, and a trace can be attached to a bug report.
//
// Reading order: source.go (parameters and Open), recording.go (what a file
// says of its domains), table.go, parquet.go and csv.go (rows by blocks, never
// all at once), index.go (the one pass at Open), cursor.go (the samples of one
// domain), trouble.go (losses and repeats, made again), voice.go and play.go
// (the stream).
package main

import "github.com/llenergymeasure/llem/sdk/serve"

func main() { serve.EnergySource(&source{}) }
