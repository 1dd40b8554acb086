package resident

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"openflow"
	"openflow/residence"
)

// Port is where a resident container listens.
const Port = 7070

// Bounds of what a container answers.
const (
	mostAnswer = 256 << 10 // bytes: the list of all its runs is the longest
	mostValues = 10_000    // of JSON
	mostGrace  = 10 * time.Minute

	within     = 5 * time.Second  // an answer that waits for nothing
	logsWithin = 4 * time.Second  // both outputs of a run: whoever asks is itself waited for
	waits      = 20 * time.Second // a question for the end of a run
)

// Client makes a client of HTTP. It follows no redirection and knows no proxy: what a container is told is for nobody else. It does
// meet with each new connection before it sends a request over it.
type Client func(meet func(context.Context, net.Conn) error) *http.Client

// caller makes the calls of algorithm-image §12. Each container has connections of its own: they have proven that they lead to it.
type caller struct {
	make Client

	mu    sync.Mutex
	lines map[string]dialed // by key
}

// dialed are the connections of a container.
type dialed struct {
	address string
	http    *http.Client
}

// line is where a container is called.
type line struct {
	address string
	key     string
}

// over is the client for a container. One that has another address by now is not called by its old connections.
func (c *caller) over(to line) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.lines[to.key]
	if known.address == to.address && known.http != nil {
		return known.http
	}
	if known.http != nil {
		known.http.CloseIdleConnections()
	}
	known = dialed{to.address, c.make(func(ctx context.Context, conn net.Conn) error { return residence.Meet(ctx, conn, to.key) })}
	if c.lines == nil {
		c.lines = map[string]dialed{}
	}
	c.lines[to.key] = known
	return known.http
}

// leave closes the connections to a container; none: to all.
func (c *caller) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for of, known := range c.lines {
		if key == "" || of == key {
			known.http.CloseIdleConnections()
			delete(c.lines, of)
		}
	}
}

// wrong is an answer that a container cannot mean.
func wrong(format string, args ...any) error {
	return openflow.Errorf(openflow.CodeUnavailable, "the container answers wrongly: "+format, args...)
}

// call makes one call. An answer of another code than these is an error. Errors: CodeUnavailable; the context's.
func (c *caller) call(ctx context.Context, to line, method, path string, body any, long time.Duration, codes ...int) (code int, answer []byte, err error) {
	limited, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	code, err = c.do(limited, to, method, path, body, func(code int, in io.Reader) error {
		if answer, err = io.ReadAll(io.LimitReader(in, mostAnswer+1)); err == nil && len(answer) > mostAnswer {
			err = wrong("%s %s with more than %d bytes", method, path, mostAnswer)
		}
		for _, good := range codes {
			if code == good {
				return err
			}
		}
		return wrong("%s %s with code %d", method, path, code)
	})
	if ctx.Err() != nil {
		return 0, nil, ctx.Err()
	}
	return code, answer, err
}

func (c *caller) do(ctx context.Context, to line, method, path string, body any, take func(code int, in io.Reader) error) (int, error) {
	var out io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		out = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+to.address+path, out)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+to.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.over(to).Do(r)
	if err != nil {
		return 0, openflow.Errorf(openflow.CodeUnavailable, "the container does not answer: %w", bare(err))
	}
	defer func() { _ = answer.Body.Close() }() // it was read as far as it is believed
	return answer.StatusCode, take(answer.StatusCode, answer.Body)
}

// bare leaves the address out, which says nothing to people.
func bare(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}

// ready asks whether a container takes runs.
func (c *caller) ready(ctx context.Context, to line) (bool, error) {
	code, _, err := c.call(ctx, to, http.MethodGet, "/v1/ready", nil, within, http.StatusOK, http.StatusServiceUnavailable)
	return code == http.StatusOK, err
}

// live asks whether a container works.
func (c *caller) live(ctx context.Context, to line) error {
	_, _, err := c.call(ctx, to, http.MethodGet, "/v1/live", nil, within, http.StatusOK)
	return err
}

// put tells a container of a run. taken is false where it wants none now.
func (c *caller) put(ctx context.Context, to line, id string, environment map[string]string) (taken bool, err error) {
	body := residence.Begin{Environment: environment}
	code, _, err := c.call(ctx, to, http.MethodPut, "/v1/runs/"+id, body, within, http.StatusCreated, http.StatusOK,
		http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadRequest, http.StatusConflict)
	return code == http.StatusCreated || code == http.StatusOK, err
}

// said is what a container says of a run.
type said struct {
	ID       string          `json:"id"`
	State    residence.State `json:"state"`
	ExitCode *int            `json:"exit_code"`
	Finished int64           `json:"finished"` // milliseconds since 1970
}

// ask waits a while for the end of a run. known is false where the container has no such run.
func (c *caller) ask(ctx context.Context, to line, id string) (s said, known bool, err error) {
	path := "/v1/runs/" + id + "?wait=" + strconv.Itoa(int(waits/time.Second))
	code, text, err := c.call(ctx, to, http.MethodGet, path, nil, waits+within, http.StatusOK, http.StatusNotFound)
	if err != nil || code == http.StatusNotFound {
		return s, false, err
	}
	if err := decode(text, &s); err != nil {
		return s, true, err
	}
	return s, true, s.check(id)
}

// check refuses what cannot be said of a run.
func (s said) check(id string) error {
	switch {
	case s.ID != id:
		return wrong("of the run %q when it is asked for %q", openflow.Cut(openflow.Readable(s.ID), 80), id)
	case s.State == residence.Running:
		return nil
	case s.State != residence.Ended:
		return wrong("of a run that is %q", openflow.Cut(openflow.Readable(string(s.State)), 40))
	case s.ExitCode == nil || *s.ExitCode < 0 || *s.ExitCode > 255:
		return wrong("of a run that has ended without an exit code from 0 to 255")
	}
	return nil
}

// list asks for the IDs of the runs that a container has.
func (c *caller) list(ctx context.Context, to line) ([]string, error) {
	_, text, err := c.call(ctx, to, http.MethodGet, "/v1/runs", nil, within, http.StatusOK)
	var list struct {
		Runs []said `json:"runs"`
	}
	if err == nil {
		err = decode(text, &list)
	}
	var ids []string
	for _, s := range list.Runs {
		if residence.CanBe(s.ID) { // it goes into an address
			ids = append(ids, s.ID)
		}
	}
	return ids, err
}

func decode(text []byte, into any) error {
	if err := openflow.BoundedJSON(text, mostValues); err != nil {
		return wrong("%w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return wrong("with no JSON of its form")
	}
	return nil
}

// stop asks a container to end a run. heard is false where it has no such run.
func (c *caller) stop(ctx context.Context, to line, id string, grace time.Duration) (heard bool, err error) {
	code, _, err := c.call(ctx, to, http.MethodPost, "/v1/runs/"+id+"/stop", residence.End{Grace: min(grace, mostGrace).Milliseconds()}, within,
		http.StatusAccepted, http.StatusNotFound)
	return code == http.StatusAccepted, err
}

// forget asks a container to forget an ended run.
func (c *caller) forget(ctx context.Context, to line, id string) error {
	_, _, err := c.call(ctx, to, http.MethodDelete, "/v1/runs/"+id, nil, within, http.StatusNoContent, http.StatusNotFound, http.StatusConflict)
	return err
}

// errWriter marks an error that is the writer's and not the container's.
type errWriter struct{ error }

// log copies what a run has written to one of its outputs.
func (c *caller) log(ctx context.Context, to line, id, stream string, out io.Writer) error {
	_, err := c.do(ctx, to, http.MethodGet, "/v1/runs/"+id+"/log?stream="+stream, nil, func(code int, in io.Reader) error {
		if code != http.StatusOK {
			return wrong("a question for a log with code %d", code)
		}
		return copyBounded(out, in)
	})
	return err
}

// copyBounded copies as much as an output may have. A container that sends more is not heard to its end.
func copyBounded(out io.Writer, in io.Reader) error {
	buffer := make([]byte, 32<<10)
	for left := residence.LogBytes; ; {
		n, err := in.Read(buffer)
		n = min(n, left)
		if _, e := out.Write(buffer[:n]); e != nil {
			return errWriter{e}
		}
		if left -= n; left == 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("its log: %w", err)
		}
	}
}
