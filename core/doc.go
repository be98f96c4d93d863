// Package core has no code of its own: its packages are the steps of
// `llem run study.toml`, in this order.
//
//	study.Load       file -> Study            strict TOML; every key known or an error
//	study.Expand     Study -> cells           sweep and explicit experiments; stable ids
//	registry.Open    names -> plugins         manifest, digests, schema; parameters checked
//	plan.Build       cells -> Plan            blocks, order, forecast (--dry-run stops here)
//	measure.Run      Plan -> trials           load, warm up, condition, one window; one at a time
//	result.Dir       trial -> disk            record and raw series, published by one rename
//	report.Summarize trials -> estimates      intervals by stats, warnings as data
//	report.Table     estimates -> text        table, JSON, CSV
//
// Data moves down this list and never back up. The directory on disk is the
// hinge: everything below it can be made again from the directory alone.
// energy is arithmetic on sensor samples, used by measure; environ describes
// the machine.
package core
