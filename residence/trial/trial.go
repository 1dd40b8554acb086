// Package trial holds a resident container against its contract: what it answers to a node, point by point.
//
// The container is believed to be hostile. What it says is bounded in size and time, and no redirection is followed.
//
// Spec: algorithm-image §12.
package trial

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/residence"
)

// What a container may take and say.
const (
	mostAnswer = 256 << 10 // bytes of an answer but a log, as a node reads
	mostPlaces = 8         // that are filled: the container has little memory
	mostValues = 10_000    // of JSON
	mostHeader = 16 << 10
	lookEvery  = 50 * time.Millisecond // whether it is ready
)

// How long it may take: to be ready, for an answer, and for a run that cannot run.
var (
	readyWithin  = 30 * time.Second
	answerWithin = 5 * time.Second
	endsWithin   = 20 * time.Second
	allWithin    = 2 * time.Minute
)

// Container is one that was started to serve runs.
type Container struct {
	Address string // host:port
	Key     string // OPENFLOW_SERVE_KEY
	Places  int    // how many runs it takes at once, or more
	// Gone reports whether it has ended; nil: that is not known.
	Gone func(context.Context) bool
}

// remedy is for all that does not hold.
const remedy = "mend what answers serve; algorithm-image §12 has the interface"

// hearing is a container while it is heard.
type hearing struct {
	of    Container
	http  *http.Client
	found []openflow.Finding
}

// hear begins to hear a container.
func hear(of Container) *hearing {
	// A connection for each call: one that a container has closed meanwhile is no answer to a call that is not repeated.
	transport := &http.Transport{MaxResponseHeaderBytes: mostHeader, DisableCompression: true, DisableKeepAlives: true}
	return &hearing{of: of, http: &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Hold tells what of the contract a container keeps. It gives it runs without configuration, which have to fail. What does not hold
// is a finding; after the first, no more is asked that depends on it. The end of ctx ends the hearing.
func Hold(ctx context.Context, of Container) []openflow.Finding {
	h := hear(of)
	limited, cancel := context.WithTimeout(ctx, allWithin)
	defer cancel()
	for _, point := range []struct {
		name  string
		holds string
		ask   func(context.Context) error
	}{
		{"serves", "it takes runs", h.ready},
		{"proof", "it proves that it has its secret before it is told anything", h.proof},
		{"secret", "it answers nobody but its node", h.secret},
		{"live", "it says that it works", h.live},
		{"begins a run", "it begins one of an ID once", h.begin},
		{"ends a run", "it tells of the end of a run that cannot run", h.end},
		{"log of a run", "it has what the run has written", h.log},
		{"stops a run", "it ends a run that is to end", h.stop},
		{"forgets a run", "it forgets one that has ended, and none that it does not have", h.forget},
		{"is full", "it takes as many runs as it says, and is ready while they run", h.full},
		{"goes on", "runs that fail leave it as it was", h.goesOn},
	} {
		err := point.ask(limited)
		if ctx.Err() != nil {
			return h.found
		}
		if limited.Err() != nil {
			err = fmt.Errorf("it is too slow: %s are allowed for all answers", allWithin)
		}
		if err != nil {
			h.found = append(h.found, openflow.Finding{Check: point.name, Verdict: openflow.VerdictFail, Detail: openflow.Heard(err.Error()), Remedy: remedy})
			return h.found
		}
		h.found = append(h.found, openflow.Finding{Check: point.name, Verdict: openflow.VerdictOK, Detail: point.holds})
	}
	return h.found
}

func (h *hearing) ready(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	why := fmt.Errorf("it has not answered")
	for {
		code, _, err := h.call(limited, h.of.Key, http.MethodGet, "/v1/ready", nil)
		switch {
		case err == nil && code == http.StatusOK:
			return nil
		case limited.Err() != nil: // what the last call says is that its time is over
		case err != nil:
			why = err
		default:
			why = fmt.Errorf("GET /v1/ready is answered with %d", code)
		}
		if h.of.Gone != nil && h.of.Gone(limited) {
			return fmt.Errorf("it has ended before it was ready")
		}
		select {
		case <-tick.C:
		case <-limited.Done():
			return fmt.Errorf("it is not ready after %s: %w", readyWithin, why)
		}
	}
}

// proof has it prove that it is the container that was started, and makes a call over the connection that has proven it.
func (h *hearing) proof(ctx context.Context) error {
	usual := h.http
	defer func() { h.http = usual }()
	proven := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := residence.Meet(ctx, conn, h.of.Key); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	}
	h.http = &http.Client{Transport: &http.Transport{
		DialContext: proven, MaxResponseHeaderBytes: mostHeader, DisableCompression: true, DisableKeepAlives: true,
	}, CheckRedirect: usual.CheckRedirect}
	return h.want(ctx, h.of.Key, http.MethodGet, "/v1/ready", nil, nil, http.StatusOK)
}

func (h *hearing) secret(ctx context.Context) error {
	for _, one := range []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, "/v1/ready", nil}, {http.MethodGet, "/v1/live", nil}, {http.MethodGet, "/v1/runs", nil},
		{http.MethodPut, "/v1/runs/of-nobody", residence.Begin{}}, {http.MethodGet, "/v1/runs/of-nobody", nil},
		{http.MethodGet, "/v1/runs/of-nobody/log?stream=stdout", nil}, {http.MethodPost, "/v1/runs/of-nobody/stop", residence.End{}},
		{http.MethodDelete, "/v1/runs/of-nobody", nil},
	} {
		for _, key := range []string{"", h.of.Key[:len(h.of.Key)-1], rand.Text()} {
			if err := h.want(ctx, key, one.method, one.path, one.body, nil, http.StatusUnauthorized); err != nil {
				return fmt.Errorf("without its secret: %w", err)
			}
		}
	}
	var list residence.Runs
	if err := h.want(ctx, h.of.Key, http.MethodGet, "/v1/runs", nil, &list, http.StatusOK); err != nil {
		return err
	}
	if len(list.Runs) > 0 {
		return fmt.Errorf("it has %d runs, and nobody has given it any", len(list.Runs))
	}
	return nil
}

func (h *hearing) live(ctx context.Context) error {
	return h.want(ctx, h.of.Key, http.MethodGet, "/v1/live", nil, nil, http.StatusOK)
}

// The runs that a container is given.
const (
	first  = "openflow.check-1"
	second = "openflow.check_2"
)

// unable is what a run is told that has to fail.
var unable = residence.Begin{Environment: map[string]string{"CONFIG": "{}"}}

func (h *hearing) begin(ctx context.Context) error {
	if err := h.want(ctx, h.of.Key, http.MethodPut, "/v1/runs/"+first, unable, nil, http.StatusCreated); err != nil {
		return err
	}
	if err := h.want(ctx, h.of.Key, http.MethodPut, "/v1/runs/"+first, unable, nil, http.StatusOK); err != nil {
		return fmt.Errorf("asked for it again: %w", err)
	}
	return nil
}

func (h *hearing) end(ctx context.Context) error {
	one, err := h.await(ctx, first)
	if err == nil && one.ExitCode == 0 {
		err = fmt.Errorf("a run without configuration ends with exit code 0, as if something had been done")
	}
	if err != nil {
		return err
	}
	var list residence.Runs
	if err := h.want(ctx, h.of.Key, http.MethodGet, "/v1/runs", nil, &list, http.StatusOK); err != nil {
		return err
	}
	if len(list.Runs) != 1 || list.Runs[0] != one {
		return fmt.Errorf("the list of its runs does not say the same of the one that it has")
	}
	return nil
}

// await is a run that has ended.
func (h *hearing) await(ctx context.Context, id string) (one residence.Run, err error) {
	for until := time.Now().Add(endsWithin); ; {
		path := "/v1/runs/" + id + "?wait=" + strconv.Itoa(int(answerWithin.Seconds()))
		asked := time.Now()
		one = residence.Run{}
		if err := h.want(ctx, h.of.Key, http.MethodGet, path, nil, &one, http.StatusOK); err != nil {
			return one, err
		}
		switch {
		case one.ID != id:
			return one, fmt.Errorf("asked for %s, it tells of another run", id)
		case one.State == residence.Ended:
			return one, plausible(one)
		case one.State != residence.Running:
			return one, fmt.Errorf("a run is %q, and can be running or ended", openflow.Cut(string(one.State), 40))
		case time.Now().After(until):
			return one, fmt.Errorf("a run without configuration has not ended after %s", endsWithin)
		case time.Since(asked) < answerWithin/2:
			return one, fmt.Errorf("asked to wait for the end of a run, it answers at once, and the run goes on")
		}
	}
}

// plausible refuses times and codes that no run can have.
func plausible(one residence.Run) error {
	const day = 24 * time.Hour
	started, finished := time.UnixMilli(one.Started), time.UnixMilli(one.Finished)
	if one.Started <= 0 || finished.Before(started) || time.Since(started).Abs() > day || time.Since(finished).Abs() > day {
		return fmt.Errorf("a run began at %d and ended at %d, in milliseconds since 1970: that cannot be", one.Started, one.Finished)
	}
	if one.ExitCode < 0 || one.ExitCode > 255 {
		return fmt.Errorf("a run has ended with exit code %d", one.ExitCode)
	}
	return nil
}

func (h *hearing) log(ctx context.Context) error {
	for _, stream := range []string{"stdout", "stderr"} {
		if err := h.want(ctx, h.of.Key, http.MethodGet, "/v1/runs/"+first+"/log?stream="+stream, nil, nil, http.StatusOK); err != nil {
			return err
		}
	}
	return nil
}

func (h *hearing) stop(ctx context.Context) error {
	if err := h.want(ctx, h.of.Key, http.MethodPut, "/v1/runs/"+second, unable, nil, http.StatusCreated); err != nil {
		return err
	}
	for range 2 {
		if err := h.want(ctx, h.of.Key, http.MethodPost, "/v1/runs/"+second+"/stop", residence.End{Grace: 100}, nil, http.StatusAccepted); err != nil {
			return err
		}
	}
	_, err := h.await(ctx, second)
	return err
}

func (h *hearing) forget(ctx context.Context) error {
	for _, id := range []string{first, first, second} {
		if err := h.want(ctx, h.of.Key, http.MethodDelete, "/v1/runs/"+id, nil, nil, http.StatusNoContent); err != nil {
			return err
		}
	}
	if err := h.want(ctx, h.of.Key, http.MethodGet, "/v1/runs/"+first, nil, nil, http.StatusNotFound); err != nil {
		return err
	}
	return h.want(ctx, h.of.Key, http.MethodPost, "/v1/runs/"+first+"/stop", residence.End{}, nil, http.StatusNotFound)
}

// full gives it as many runs as it takes at once. It may end each at once, and a node that has restarted asks whether it is ready
// while all of its places are taken.
func (h *hearing) full(ctx context.Context) error {
	var ids []string
	for i := range min(h.of.Places, mostPlaces) {
		id := "openflow.check-full-" + strconv.Itoa(i)
		if err := h.want(ctx, h.of.Key, http.MethodPut, "/v1/runs/"+id, unable, nil, http.StatusCreated); err != nil {
			return fmt.Errorf("given %d runs at once: %w", i+1, err)
		}
		ids = append(ids, id)
	}
	if err := h.want(ctx, h.of.Key, http.MethodGet, "/v1/ready", nil, nil, http.StatusOK); err != nil {
		return fmt.Errorf("while it has as many runs as it takes: %w", err)
	}
	for _, id := range ids {
		if err := h.want(ctx, h.of.Key, http.MethodPost, "/v1/runs/"+id+"/stop", residence.End{Grace: 100}, nil, http.StatusAccepted); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if _, err := h.await(ctx, id); err != nil {
			return err
		}
		if err := h.want(ctx, h.of.Key, http.MethodDelete, "/v1/runs/"+id, nil, nil, http.StatusNoContent); err != nil {
			return err
		}
	}
	return nil
}

func (h *hearing) goesOn(ctx context.Context) error {
	for _, path := range []string{"/v1/ready", "/v1/live"} {
		if err := h.want(ctx, h.of.Key, http.MethodGet, path, nil, nil, http.StatusOK); err != nil {
			return err
		}
	}
	return nil
}

// want makes a call that has to be answered so.
func (h *hearing) want(ctx context.Context, key, method, path string, body, into any, codes ...int) error {
	code, text, err := h.call(ctx, key, method, path, body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s is not answered: %w", method, path, err)
	case !slices.Contains(codes, code):
		return fmt.Errorf("%s %s is answered with %d, want %d", method, path, code, codes[0])
	case into == nil:
		return nil
	}
	if err = openflow.BoundedJSON(text, mostValues); err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%s %s is answered with something else than its form: %w", method, path, err)
	}
	return nil
}

// Get makes a GET request of a path, as a node does of a container that it keeps. What it answers is not kept.
func Get(ctx context.Context, of Container, path string) (status int, err error) {
	status, _, err = hear(of).ask(ctx, of.Key, http.MethodGet, path, nil)
	return status, err
}

// call makes a call that is answered in time.
func (h *hearing) call(ctx context.Context, key, method, path string, body any) (code int, text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin) // it may be asked to wait
	defer cancel()
	return h.ask(ctx, key, method, path, body)
}

// ask makes a call, and reads as much of the answer as is allowed.
func (h *hearing) ask(ctx context.Context, key, method, path string, body any) (code int, text []byte, err error) {
	var out io.Reader
	if body != nil {
		asked, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		out = bytes.NewReader(asked)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+h.of.Address+path, out)
	if err != nil {
		return 0, nil, err
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := h.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }() // what is left of it is not believed
	most := int64(mostAnswer)
	if strings.HasSuffix(r.URL.Path, "/log") {
		most = residence.LogBytes
	}
	text, err = io.ReadAll(io.LimitReader(answer.Body, most+1))
	if int64(len(text)) > most {
		return 0, nil, fmt.Errorf("the answer has more than %d bytes", most)
	}
	return answer.StatusCode, text, err
}
