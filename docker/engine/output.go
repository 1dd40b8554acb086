package engine

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// keptOutput is how much of each of a container's two outputs a Runtime keeps in memory. Most programs write less. What is
// more is read from the daemon once the container has exited. heardOutput is how much of both is listened to: one of them
// may be much ahead of the other.
const keptOutput, heardOutput = 64 << 10, 4 << 20

// outputLag is how long the end of a container's output may come after the news of its death.
const outputLag = 3 * time.Second

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

	output         client.HijackedResponse
	ended          chan struct{}               // closed at the end of the output; what follows is read then
	stdout, stderr beginning                   // what has come first
	long           func(stdout, stderr []byte) // is given what was kept of what is too much
	whole          bool                        // all that has come is kept
}

// beginning keeps what is written first, and takes all.
type beginning struct {
	text []byte
	more bool // was written than is kept
}

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	n := min(len(p), keptOutput-len(b.text))
	b.text, b.more = append(b.text, p[:n]...), b.more || n < len(p)
	return len(p), nil
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
	e.output, e.long = attached.HijackedResponse, func(stdout, stderr []byte) {
		r.saveBeginning(ctx, l.status.Name, stdout, stderr)
	}
	go e.keep()
	return e
}

// keep reads the output to its end, or until it is too much: what nobody reads would block the program.
func (e *ear) keep() {
	defer close(e.ended)
	heard := &io.LimitedReader{R: e.output.Reader, N: heardOutput}
	_, err := stdcopy.StdCopy(&e.stdout, &e.stderr, heard)
	e.output.Close()
	much := heard.N <= 0 || e.stdout.more || e.stderr.more
	if e.whole = err == nil && !much; !e.whole {
		if much {
			e.long(e.stdout.text, e.stderr.text)
		}
		e.stdout, e.stderr = beginning{}, beginning{}
	}
}

// close stops listening.
func (e *ear) close() {
	if e != nil {
		e.hangUp()
		e.output.Close()
	}
}

// all reports whether e has all that the container has written.
func (e *ear) all(ctx context.Context) bool {
	return e != nil && e.died.Load() && e.end(ctx) && e.whole
}

// end waits a moment for the end of the output, and for its beginning to be saved. The container has exited.
func (e *ear) end(ctx context.Context) bool {
	if e == nil {
		return false
	}
	late := time.NewTimer(outputLag)
	defer late.Stop()
	select {
	case <-e.ended:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

// copy writes what the container has written; see all.
func (e *ear) copy(stdout, stderr io.Writer) error {
	_, err := stdout.Write(e.stdout.text)
	_, err2 := stderr.Write(e.stderr.text)
	return errors.Join(err, err2)
}
