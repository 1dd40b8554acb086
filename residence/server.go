package residence

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"openflow"
)

// Process is a run that has started.
type Process interface {
	Wait() (exitCode int) // returns when it has ended, with all that it has started, and all that it wrote is written
	Ask()                 // asks it to end
	Kill()                // ends it, with all that it has started
}

// Starter starts a run. An error means that it cannot be started now.
type Starter func(id string, environment map[string]string, stdout, stderr io.Writer) (Process, error)

// Server answers the node. It keeps what a run wrote and how it ended until the node forgets the run.
type Server struct {
	key   string
	most  int
	start Starter
	mux   *http.ServeMux

	mu      sync.Mutex
	runs    map[string]*run
	running int
	closed  bool // no run is taken any more
}

// run is guarded by Server.mu, apart from what the comments say.
type run struct {
	Run
	process        Process
	stdout, stderr *tail         // guard themselves
	done           chan struct{} // closed when it has ended
	asked          bool
}

// New is a server without runs. It takes most of them at once.
func New(key string, most int, start Starter) *Server {
	s := &Server{key: key, most: most, start: start, mux: http.NewServeMux(), runs: map[string]*run{}}
	s.mux.HandleFunc("GET /v1/ready", s.ready)
	s.mux.HandleFunc("GET /v1/live", s.live)
	s.mux.HandleFunc("GET /v1/runs", s.list)
	s.mux.HandleFunc("PUT /v1/runs/{id}", s.begin)
	s.mux.HandleFunc("GET /v1/runs/{id}", s.look)
	s.mux.HandleFunc("GET /v1/runs/{id}/log", s.log)
	s.mux.HandleFunc("POST /v1/runs/{id}/stop", s.stop)
	s.mux.HandleFunc("DELETE /v1/runs/{id}", s.forget)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == proofPath && s.key != "" {
		s.proof(w, r)
		return
	}
	said, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || s.key == "" || subtle.ConstantTimeCompare([]byte(said), []byte(s.key)) != 1 {
		refuse(w, http.StatusUnauthorized, "the secret of this container is missing")
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		refuse(w, http.StatusServiceUnavailable, "it ends")
	}
}

// live says nothing else than that a call is answered which has to wait for the others: a server that is stuck is not live.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	all := []Run{}
	s.mu.Lock()
	for _, one := range s.runs {
		all = append(all, one.Run)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b Run) int { return cmp.Or(cmp.Compare(a.Started, b.Started), cmp.Compare(a.ID, b.ID)) })
	answer(w, http.StatusOK, Runs{all})
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	var asked Begin
	if err := read(w, r, &asked); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if !CanBe(id) || !variables(asked.Environment) {
		refuse(w, http.StatusBadRequest, "the ID or a variable of this run cannot be one")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if there, ok := s.runs[id]; ok {
		answer(w, http.StatusOK, there.Run)
		return
	}
	switch {
	case s.closed:
		refuse(w, http.StatusServiceUnavailable, "it ends")
		return
	case s.running >= s.most:
		refuse(w, http.StatusServiceUnavailable, "it has as many runs as it takes at once")
		return
	case len(s.runs) >= keptPerPlace*s.most:
		refuse(w, http.StatusServiceUnavailable, "it keeps as many ended runs as it can, and nobody has deleted them")
		return
	}
	one := &run{stdout: &tail{most: LogBytes}, stderr: &tail{most: LogBytes}, done: make(chan struct{})}
	one.Run = Run{ID: id, State: Running, Started: time.Now().UnixMilli()}
	var err error
	if one.process, err = s.start(id, asked.Environment, one.stdout, one.stderr); err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	s.runs[id] = one
	s.running++
	go s.follow(one)
	answer(w, http.StatusCreated, one.Run)
}

// follow writes down the end of a run.
func (s *Server) follow(one *run) {
	code := one.process.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	one.State, one.ExitCode, one.Finished = Ended, code, time.Now().UnixMilli()
	s.running--
	close(one.done)
}

// find answers for a run that there is not.
func (s *Server) find(w http.ResponseWriter, r *http.Request) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.runs[r.PathValue("id")]
	if !ok {
		refuse(w, http.StatusNotFound, "there is no such run")
	}
	return one
}

func (s *Server) look(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("wait"), "0"))
	if err != nil || seconds < 0 {
		refuse(w, http.StatusBadRequest, "wait is no number of seconds")
		return
	}
	one := s.find(w, r)
	if one == nil {
		return
	}
	timer := time.NewTimer(time.Duration(min(seconds, MaxWait)) * time.Second)
	defer timer.Stop()
	select {
	case <-one.done:
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	s.mu.Lock()
	now := one.Run
	s.mu.Unlock()
	answer(w, http.StatusOK, now)
}

func (s *Server) log(w http.ResponseWriter, r *http.Request) {
	one := s.find(w, r)
	if one == nil {
		return
	}
	var kept *tail
	switch r.URL.Query().Get("stream") {
	case "stdout":
		kept = one.stdout
	case "stderr":
		kept = one.stderr
	default:
		refuse(w, http.StatusBadRequest, "stream is stdout or stderr")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_ = kept.copyTo(w) // who reads has gone
}

func (s *Server) stop(w http.ResponseWriter, r *http.Request) {
	var asked End
	if err := read(w, r, &asked); err != nil || asked.Grace < 0 {
		refuse(w, http.StatusBadRequest, "grace is no number of milliseconds")
		return
	}
	one := s.find(w, r)
	if one == nil {
		return
	}
	s.end(one, time.Duration(min(asked.Grace, maxGrace))*time.Millisecond)
	w.WriteHeader(http.StatusAccepted)
}

// end asks a run to end, once, and makes it end after the grace of each call. A second signal would end a program of our kit at
// once.
func (s *Server) end(one *run, grace time.Duration) {
	s.mu.Lock()
	first := !one.asked
	one.asked = true
	s.mu.Unlock()
	select {
	case <-one.done:
		return
	default:
	}
	if first {
		one.process.Ask()
	}
	go func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-one.done:
		case <-timer.C:
			one.process.Kill()
		}
	}()
}

func (s *Server) forget(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	if one, ok := s.runs[id]; ok && one.State == Running {
		refuse(w, http.StatusConflict, "it runs; stop it first")
		return
	}
	delete(s.runs, id)
	w.WriteHeader(http.StatusNoContent)
}

// Drain takes no further run, asks those that there are to end, and returns when they have. After grace it makes them end. The
// end of ctx ends the waiting alone.
func (s *Server) Drain(ctx context.Context, grace time.Duration) {
	s.mu.Lock()
	s.closed = true
	var left []*run
	for _, one := range s.runs {
		if one.State == Running {
			left = append(left, one)
		}
	}
	s.mu.Unlock()
	for _, one := range left {
		s.end(one, grace)
	}
	for _, one := range left {
		select {
		case <-one.done:
		case <-ctx.Done():
			return
		}
	}
}

func variables(env map[string]string) bool {
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) || len(name)+1+len(value) > maxVariable {
			return false
		}
	}
	return true
}

func read(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return nil
	}
	if err := openflow.BoundedJSON(body, maxValues); err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who asked has gone
}

func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, map[string]string{"message": why})
}
