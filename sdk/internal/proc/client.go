package proc

import (
	"context"
	"time"

	"github.com/hashicorp/go-plugin"
)

// politeLimit bounds the transport's own way of ending a plugin.
const politeLimit = 3 * time.Second

// EndClient ends a plugin, its group and its descendants in at most four
// seconds. The transport first asks the plugin to leave; that alone blocks as
// long as a stopped process is stopped, and as long as anybody holds on to the
// plugin's output. An error names who is still there.
func EndClient(ctx context.Context, client *plugin.Client, r *Runner) error {
	polite := make(chan struct{})
	go func() {
		defer close(polite)
		r.remember()
		client.Kill()
	}()
	limit := time.NewTimer(politeLimit)
	defer limit.Stop()
	select {
	case <-polite:
	case <-limit.C:
	case <-r.exited:
		// Dead already; what the transport still waits for ends by itself.
	case <-ctx.Done():
	}
	return r.Kill(context.WithoutCancel(ctx))
}
