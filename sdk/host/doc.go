// Package host is the host's side of the plugin seam: it starts a plugin's
// process, speaks the contract in the types of package sdk, does not believe
// everything it hears, and can always end the process.
//
//	p, err := host.Start(ctx, host.Command{Path: path}, host.Options{})
//	defer p.Kill()
//	report, err := p.Load(ctx, sdk.LoadRequest{Cell: cell}, nil)
//	prepared, err := p.Prepare(ctx, work)
//	finished, err := p.Run(ctx, spec, func(e sdk.RunEvent) error { ... })
//	err = p.Unload(ctx)
//
// Reading order: start.go and child.go (start, handshake, kill), plugin.go
// (calls with deadlines), watch.go (heartbeats and floods), run.go and
// verify.go (drive and judge a Run), source.go (sensors), errors.go (what can
// go wrong, with codes).
package host
