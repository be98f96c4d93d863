// Package registry finds, verifies, starts and installs plugins. In the way
// of the data it stands between study.Expand and plan.Build: it turns the
// plugin names of a study into processes whose content is known.
//
// A plugin is a directory NAME with a manifest, plugin.toml, beside its files:
//
//	name = "ggml"
//	kinds = ["backend"]
//	version = "1.2.0"
//	protocol = 1
//	command = ["ggml"]          # or ["python3", "plugin.py"]
//
//	[files]                     # sha256 of everything that belongs to it
//	ggml = "9f86d081884c7d65…"
//
// Reading order:
//
//  1. search.go: the directories in which plugins are looked for
//  2. manifest.go: what a plugin.toml says, and what it may not say
//  3. registry.go: Open lists manifests and starts nothing; Find
//  4. digest.go, digestcache.go: are the files those of the manifest?
//  5. lock.go: are they those that the study was measured with before?
//  6. start.go: verify, start, and compare the process with its manifest
//  7. schema.go: what a plugin says of itself, kept so that a dry run starts
//     nothing
//  8. install.go, publish.go: how a plugin comes into a directory
package registry
