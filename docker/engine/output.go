package engine

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// keptOutput is how much of a container's output a Runtime keeps in memory. Most programs write less. What is more is
// read from the daemon once the container has exited.
const keptOutput = 64 << 10

// outputLag is how long the end of a container's output may come after the news of its death.
const outputLag = time.Second

// ear hears a container from before its start: its events, and what it writes.
//
// It saves the wait for the daemon, which takes the network of a dead container down with the container locked, and
// shows nobody its log meanwhile. That takes 50 ms. What was heard counts only when it is certainly all. So the program
// has written little, and one connection has told of the start and of the death: no daemon went away in between.
// A daemon that goes away ends the connection to the output as a program does.
type ear struct {
	news   client.EventsResult
	taken  atomic.Bool // somebody reads the news
	died   atomic.Bool // they have told of the death
	hangUp context.CancelFunc

	output client.HijackedResponse
	ended  chan struct{} // closed at the end of the output
	kept   bytes.Buffer  // frames of stdcopy; read once ended is closed
	long   func([]byte)  // is given the frames that were kept of what is too much
	whole  bool          // all that has come is in kept; read once ended is closed
}

// listen begins to hear a container that has not started. That this fails is no loss: then there is no ear.
func (r *Runtime) listen(ctx context.Context, l launch) *ear {
	lasting, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, hangUp)
	e := &ear{hangUp: hangUp, ended: make(chan struct{})}
	attached, err := r.api.ContainerAttach(lasting, l.id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	l.at = time.Now() // somebody else may start it too: only what begins from here on is heard whole
	e.news = r.api.Events(lasting, l.events())
	if !stop() || err != nil {
		hangUp()
		if err == nil {
			attached.Close()
		}
		return nil
	}
	e.output, e.long = attached.HijackedResponse, func(frames []byte) { r.saveBeginning(ctx, l.status.Name, frames) }
	go e.keep()
	return e
}

// keep reads the output to its end, or until it is too much: what nobody reads would block the program.
func (e *ear) keep() {
	defer close(e.ended)
	n, err := io.Copy(&e.kept, io.LimitReader(e.output.Reader, keptOutput+1))
	e.output.Close()
	if e.whole = err == nil && n <= keptOutput; !e.whole {
		if n > keptOutput {
			e.long(e.kept.Bytes())
		}
		e.kept = bytes.Buffer{}
	}
}

// close stops listening.
func (e *ear) close() {
	if e != nil {
		e.hangUp()
		e.output.Close()
	}
}

// all reports whether e has all that the container has written. It waits a moment for the end of it.
func (e *ear) all(ctx context.Context) bool {
	if e == nil || !e.died.Load() {
		return false
	}
	late := time.NewTimer(outputLag)
	defer late.Stop()
	select {
	case <-e.ended:
		return e.whole
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

// copy writes what the container has written; see all.
func (e *ear) copy(stdout, stderr io.Writer) error {
	_, err := stdcopy.StdCopy(stdout, stderr, bytes.NewReader(e.kept.Bytes()))
	return err
}
