// Command llem measures the energy and the speed of LLM inference
// deployments.
package main

import (
	"context"
	"os"
)

func main() {
	ctx, release := interruptible(context.Background())
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	release()
	os.Exit(code)
}
