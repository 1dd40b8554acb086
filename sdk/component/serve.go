package component

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"openflow"
	"openflow/residence"
	"openflow/residence/processes"
)

// What a server of runs leaves to others, and how long it takes to end: less than the time after which its container is killed.
const (
	headerTime   = 10 * time.Second
	idleTime     = 2 * time.Minute
	headerBytes  = 16 << 10
	endOfRuns    = 3500 * time.Millisecond
	endOfServing = 500 * time.Millisecond
)

// serve is the program in a resident container, until it is asked to end. Each run is this program again, as a process of its
// own.
//
// Spec: algorithm-image §12.
func (p Program) serve(ctx context.Context, env func(string) string, log *slog.Logger) int {
	if err := p.serveRuns(ctx, env, log); err != nil {
		log.Error("no runs are served", "error", err)
		return ExitUsage
	}
	return ExitCanceled
}

func (p Program) serveRuns(ctx context.Context, env func(string) string, log *slog.Logger) error {
	most := 0
	for _, c := range p.Components {
		most = max(most, c.Resident)
	}
	address, key := env(residence.Address), env(residence.Key)
	switch {
	case most == 0:
		return openflow.Errorf(openflow.CodeInvalid, "no component of this program is resident").WithHint("say how many runs one container serves: Component.Resident")
	case address == "" || key == "":
		return openflow.Errorf(openflow.CodeInvalid, "environment variable %s or %s is empty", residence.Address, residence.Key).
			WithHint("a resident container is started by a node")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runs, err := processes.Serve(self, "run")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "%s is %q, where this program cannot listen: %w", residence.Address, openflow.Cut(address, 80), err)
	}
	answers := residence.New(key, min(most, openflow.MostRuns), runs.Start)
	server := &http.Server{
		Handler: answers, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	log.Info("runs are served", "at", listener.Addr().String(), "at_once", most)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("the runs are asked to end")
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endOfRuns+endOfServing)
	defer cancel()
	answers.Drain(ending, endOfRuns)
	_ = server.Shutdown(ending) // a caller that stays has lost nothing
	return server.Close()
}
