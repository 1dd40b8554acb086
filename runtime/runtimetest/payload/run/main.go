// Command run is package payload as an executable, for the runtimes that need one.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"openflow/runtime/runtimetest/payload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	code := payload.Run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
