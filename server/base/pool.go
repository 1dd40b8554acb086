package base

import (
	"context"
	"io"

	"openflow"
)

// PoolStore is the part of the catalogue that the workers of the site's pool read and write.
type PoolStore interface {
	SaveWorker(ctx context.Context, w openflow.WorkerRecord) error
	TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error)
	StartTask(ctx context.Context, k openflow.TaskKey, at openflow.Launch) (bool, error)
	FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error)
	Provider(ctx context.Context, name, version string) (openflow.ProviderRecord, error)
}

// PoolLogs keeps what containers have written. The digest is empty when that is nothing.
type PoolLogs interface {
	PutLog(ctx context.Context, write func(stdout, stderr io.Writer) error) (digest string, err error)
}

// Pool is the site as the workers of its pool reach it: machines of this institution that run containers for the node. A worker
// proves itself with the worker token and may then do for any run of the site what the node's own worker does; it gets
// no data but through the credential of a run.
type Pool struct {
	Party     openflow.PartyID
	Namespace string                   // of the site in Temporal
	Check     func(token string) error // nil for a worker of this site
	Store     PoolStore
	Logs      PoolLogs
	Supply    func(ctx context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error)
	Residents PoolResidents
}

// PoolResidents knows which components may have resident containers, and notes which have one that serves on some machine.
type PoolResidents interface {
	Serves(ctx context.Context, component string, of openflow.ProviderRef) bool
	Serving(ctx context.Context, machine, component string, of openflow.ProviderRef, serving bool) error
}
