// Package plugintest is the conformance suite: it drives a plugin's program
// through the contract, as a host does, and says which rules it keeps. What
// passes is a correct plugin, in whatever language it is written.
//
// A plugin's own test is one line:
//
//	func TestConformance(t *testing.T) { plugintest.Run(t, []string{"./plugin"}, plugintest.Options{}) }
//
// A rule that cannot be judged here, for want of a device, an engine or a
// setting, is skipped with its reason and never counts as kept.
//
// Reading order: check.go (the list of rules), session.go (processes under
// test), then one file for each part of a plugin's life.
package plugintest
