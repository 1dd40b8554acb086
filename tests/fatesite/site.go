// Package fatesite is a stand-in of a FATE-Flow 2.2 site for tests: partner, scheduler and initiator in one, with the quirks of
// the original. It knows nothing of the node's code, so what both understand is the wire.
//
// Its scheduler has one thread. A round calls the parties of each step one after the other, and every call three times at most. A repeat is
// answered as an error, and a transition that is not in its tables is refused. It reports each status of a run within the
// call that has caused it. What it takes of a party's cores for a repeat, nobody gives back.
package fatesite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say how a site differs from the usual one.
type Options struct {
	Party  string
	Cores  int           // of its engine; 0: 32
	Round  time.Duration // the pause between two rounds of its scheduler; 0: 2 s
	Call   time.Duration // the patience of one try of a call; 0: 10 s
	Source string        // the address from which it calls; empty: any
}

// Call is one that the site has received, or has made.
type Call struct {
	Made bool // by the site
	Path string
	Body map[string]any
	Code int // of the answer
	At   time.Time
	Took time.Duration
}

// Run says how the runs of a task go at the site. The zero Run succeeds at once.
type Run struct {
	After  time.Duration // it takes so long
	Status string        // it ends so; empty: success
	Stuck  bool          // it goes on until somebody stops it, or [Site.Finish]
	Refuse bool          // its process cannot be started
	Seen   bool          // it does not end before the site's own scheduler, where that is the job's, has seen that it runs
	Slow   time.Duration // task/start is answered so much later
}

// Site is a running stand-in.
type Site struct {
	Options
	URL string

	t      Test
	listen string
	server *http.Server
	client *http.Client
	ctx    context.Context
	end    context.CancelFunc
	served sync.WaitGroup
	loop   sync.WaitGroup
	work   sync.WaitGroup // processes of its tasks, which outlive its server

	round sync.Mutex // held while the scheduler's thread makes a round
	mu    sync.Mutex // of what follows
	peers map[string]string
	runs  map[string]Run
	calls []Call
	late  map[string]time.Duration
	store
}

// Test is what a site needs of a testing.TB, or of whoever else plays with it.
type Test interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// New starts a site, and ends it with the test.
func New(t Test, o Options) *Site {
	t.Helper()
	if o.Cores == 0 {
		o.Cores = 32
	}
	if o.Round == 0 {
		o.Round = 2 * time.Second
	}
	if o.Call == 0 {
		o.Call = 10 * time.Second
	}
	s := &Site{
		Options: o, t: t, peers: map[string]string{}, runs: map[string]Run{}, late: map[string]time.Duration{}, store: newStore(o.Cores),
	}
	dialer := &net.Dialer{}
	if o.Source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.Source)}
	}
	s.client = &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
	s.Start()
	t.Cleanup(s.close)
	return s
}

// Start starts a stopped site on what it had: its database is kept.
func (s *Site) Start() {
	s.t.Helper()
	at := s.listen
	if at == "" {
		at = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", at)
	for i := 0; err != nil && i < portTries; i++ { // a connection of somebody else may have the port for a moment
		time.Sleep(portPause)
		l, err = net.Listen("tcp", at)
	}
	if err != nil {
		s.t.Fatalf("the stand-in of party %s cannot listen: %v", s.Party, err)
	}
	s.listen = l.Addr().String()
	s.URL = "http://" + s.listen
	s.Reach(s.Party, s.URL)
	s.ctx, s.end = context.WithCancel(context.Background())
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.served.Go(func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.t.Errorf("the stand-in of party %s does not serve: %v", s.Party, err)
		}
	})
	s.loop.Go(func() { s.rounds(s.ctx) })
}

// How often a stopped site tries to get its port back, and how long it pauses between two tries.
const (
	portTries = 300
	portPause = 50 * time.Millisecond
)

// Stop ends the site's server and its scheduler between two rounds. The processes of its tasks go on; nobody hears how they end meanwhile.
func (s *Site) Stop() {
	s.round.Lock()
	s.end()
	s.round.Unlock()
	_ = s.server.Close() // it ends what it serves
	s.served.Wait()
	s.loop.Wait()
}

func (s *Site) close() {
	s.Stop()
	s.mu.Lock()
	for _, r := range s.tasks {
		r.killed()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// Reach tells the site where a party is.
func (s *Site) Reach(party, url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[party] = url
}

// Will says how the runs of a task go from now on.
func (s *Site) Will(task string, r Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[task] = r
}

// Late makes the site answer a path so much later: it has done at once what it was asked for.
func (s *Site) Late(path string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late[path] = by
}

// Calls lists what the site was called for, or has called others for: "<path> <status>", without collects.
func (s *Site) Calls(made bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, c := range s.calls {
		if c.Made != made || strings.HasSuffix(c.Path, "/collect") {
			continue
		}
		status, _ := c.Body["status"].(string)
		list = append(list, strings.TrimSpace(strings.TrimPrefix(c.Path, "/v2/")+" "+status))
	}
	return list
}

// Record lists all calls.
func (s *Site) Record() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// The codes that a site answers with (fate-flow-api §0.4).
const (
	success         = 0
	federated       = 104
	jobNotFound     = 1001
	createFailed    = 1002
	updateFailed    = 1003
	killFailed      = 1004
	resourceBusy    = 1005
	resourceLimit   = 1006
	taskNotFound    = 2000
	startFailed     = 2001
	updateTask      = 2002
	taskBusy        = 2004
	invalid         = 5001
	serverException = 6000
)

// answer is an envelope.
type answer struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
	JobID   string `json:"job_id,omitempty"`
}

func ok(data any) answer { return answer{Message: "success", Data: data} }

func refused(code int, class string, b body) answer {
	var details []string
	for _, key := range []string{"job_id", "role", "party_id", "task_id", "task_version", "status"} {
		if v, said := b[key]; said {
			details = append(details, fmt.Sprintf("%s[%v]", key, v))
		}
	}
	return answer{Code: code, Message: class + ": " + strings.Join(details, ",")}
}

type body map[string]any

func (b body) text(key string) string { s, _ := b[key].(string); return s }

func (b body) whole(key string) int {
	switch v := b[key].(type) {
	case float64:
		return int(v)
	case int:
		return v
	}
	return 0
}

// field is an argument of a route: its name, with its type behind a colon where it is no string.
func check(b body, fields []string) (answer, bool) {
	wrong := map[string][]string{}
	for _, f := range fields {
		name, kind, _ := strings.Cut(f, ":")
		v, said := b[name]
		switch {
		case !said:
			wrong[name] = []string{"Missing data for required field."}
		case v == nil:
			wrong[name] = []string{"Field may not be null."}
		case kind == "int":
			if _, number := v.(float64); !number {
				wrong[name] = []string{"Not a valid integer."}
			}
		case kind == "dict":
			if _, dict := v.(map[string]any); !dict {
				wrong[name] = []string{"Not a valid mapping type."}
			}
		case kind == "":
			if _, text := v.(string); !text {
				wrong[name] = []string{"Not a valid string."}
			}
		}
	}
	if len(wrong) == 0 {
		return answer{}, true
	}
	return answer{Code: invalid, Message: "Invalid request.", Data: map[string]any{"json": wrong}}, false
}

var (
	ofJob  = []string{"job_id", "role", "party_id"}
	ofTask = []string{"job_id", "role", "party_id", "task_id", "task_version:int"}
)

type route struct {
	fields []string
	do     func(body) answer
}

func (s *Site) routes() map[string]route {
	job := func(do func(body) answer, more ...string) route { return route{slices.Concat(ofJob, more), do} }
	task := func(do func(body) answer, more ...string) route { return route{slices.Concat(ofTask, more), do} }
	return map[string]route{
		"/v2/partner/job/create":           job(s.createJob, "dag:dict", "schema_version"),
		"/v2/partner/job/start":            job(s.startJob),
		"/v2/partner/job/status/update":    job(s.updateJobStatus, "status"),
		"/v2/partner/job/update":           job(s.updateJob),
		"/v2/partner/job/resource/apply":   job(s.applyJob),
		"/v2/partner/job/resource/return":  job(s.returnJob),
		"/v2/partner/job/stop":             job(s.stopJob),
		"/v2/partner/task/resource/apply":  task(s.applyTask),
		"/v2/partner/task/resource/return": task(s.returnTask),
		"/v2/partner/task/start":           task(s.startTask),
		"/v2/partner/task/collect":         task(s.collectTask),
		"/v2/partner/task/status/update":   task(s.updateTaskStatus, "status"),
		"/v2/partner/task/stop":            task(s.stopTask),
		"/v2/partner/task/rerun":           task(s.rerunTask, "new_version:int"),
		"/v2/scheduler/job/create":         {[]string{"dag:dict", "schema_version"}, s.scheduleJob},
		"/v2/scheduler/job/stop":           {[]string{"job_id"}, s.stopScheduled},
		"/v2/scheduler/job/rerun":          {[]string{"job_id"}, s.rerunScheduled},
		"/v2/scheduler/task/report":        task(s.reported),
	}
}

// ServeHTTP implements http.Handler. Every answer has HTTP's 200.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var b body
	var a answer
	known, found := s.routes()[strings.TrimSuffix(r.URL.Path, "/")]
	switch {
	case !found:
		a = answer{Code: serverException, Message: "<NotFound '404: Not Found'>"}
	case r.Method != http.MethodPost:
		a = answer{Code: serverException, Message: "<MethodNotAllowed '405: Method Not Allowed'>"}
	default:
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			b = body{}
		}
		if r.Header.Get("Initiator-Party-Id") != "" {
			b["initiator of the header"] = r.Header.Get("Initiator-Party-Id")
		}
		fine := false
		if a, fine = check(b, known.fields); fine {
			a = known.do(b)
		}
	}
	s.mu.Lock()
	late := s.late[r.URL.Path]
	s.calls = append(s.calls, Call{Path: r.URL.Path, Body: b, Code: a.Code, At: began, Took: time.Since(began)})
	s.mu.Unlock()
	if late > 0 {
		time.Sleep(late)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // a caller that has gone is its own business
}

// tries is how often a call is made, without a pause.
const tries = 3

// call calls a party, and makes up an answer when there is none. Party "0" is the site itself.
func (s *Site) call(party, path string, b body, header ...string) answer {
	if party == "0" {
		party = s.Party
	}
	s.mu.Lock()
	url := s.peers[party]
	s.mu.Unlock()
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // it has only what JSON can say
	}
	began := time.Now()
	a := answer{Code: federated, Message: "Federated schedule error, no address of party " + party}
	for try := 0; try < tries && url != ""; try++ {
		if got, err := s.send(url+path, party, string(text), header); err == nil {
			a = got
			break
		} else if a.Message = "Federated schedule error, " + err.Error(); s.ctx.Err() != nil {
			break
		}
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{Made: true, Path: path, Body: b, Code: a.Code, At: began, Took: time.Since(began)})
	s.mu.Unlock()
	return a
}

func (s *Site) send(url, party, text string, header []string) (a answer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Call)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		return a, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header["service"], r.Header["src-party-id"], r.Header["dest-party-id"] = []string{"fateflow"}, []string{""}, []string{party}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[header[i]] = []string{header[i+1]}
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	if resp.StatusCode >= http.StatusMultipleChoices {
		return a, fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return a, json.NewDecoder(resp.Body).Decode(&a)
}
