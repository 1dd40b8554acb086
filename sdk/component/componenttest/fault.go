package componenttest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// FaultKind says what goes wrong with a request.
type FaultKind int

// The faults. DropReply serves the request and cuts the connection instead of answering. Unavailable answers HTTP 503
// without serving. Refuse cuts the connection without serving; Restart does too, and leaves the node down for 50 ms.
// BreakBody sends the first half of a table or model and cuts the connection. Verdict answers Fault.Code without
// serving.
const (
	DropReply FaultKind = iota + 1
	Unavailable
	Refuse
	Restart
	BreakBody
	Verdict
)

// Fault makes requests go wrong.
type Fault struct {
	Path  string // prefix of the request's path, such as "/v1/interconn/chan/push"
	Kind  FaultKind
	From  int // number of the first request that it hits, from 1; 0: 1
	Every int // it hits every that many requests from there on; 0: From only
	Code  any // of a Verdict: an envelope's number, such as 7001, or a transport code, such as "E0000000700"
}

func (f Fault) hits(path string, number int) bool {
	from := orElse(f.From, 1)
	if !strings.HasPrefix(path, f.Path) || number < from {
		return false
	}
	return number == from || f.Every > 0 && (number-from)%f.Every == 0
}

type faults struct {
	node *Node
	list []Fault

	mu     sync.Mutex
	served map[string]int // requests by path
}

// downtime is how long a restarted node stays away.
const downtime = 50 * time.Millisecond

func (f *faults) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := f.hit(r.URL.Path)
		switch fault.Kind {
		case DropReply:
			next.ServeHTTP(&lostReply{header: http.Header{}}, r)
			panic(http.ErrAbortHandler) // the documented way to cut a connection
		case Unavailable:
			w.WriteHeader(http.StatusServiceUnavailable)
		case Refuse:
			panic(http.ErrAbortHandler)
		case Restart:
			resume := f.node.Restart()
			time.AfterFunc(downtime, resume)
			panic(http.ErrAbortHandler)
		case BreakBody:
			next.ServeHTTP(&halfReply{ResponseWriter: w}, r)
			panic(http.ErrAbortHandler)
		case Verdict:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"code": fault.Code, "message": "by the test"}) // the caller may be gone
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (f *faults) hit(path string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.served[path]++
	for _, fault := range f.list {
		if fault.hits(path, f.served[path]) {
			return fault
		}
	}
	return Fault{}
}

// Requests tells how many requests of that path arrived, the ones that went wrong included.
func (n *Node) Requests(path string) int {
	n.faults.mu.Lock()
	defer n.faults.mu.Unlock()
	return n.faults.served[path]
}

// lostReply takes an answer that nobody gets.
type lostReply struct{ header http.Header }

func (l *lostReply) Header() http.Header         { return l.header }
func (l *lostReply) WriteHeader(int)             {}
func (l *lostReply) Write(p []byte) (int, error) { return len(p), nil }

// halfReply lets the first half of each write through.
type halfReply struct{ http.ResponseWriter }

func (h *halfReply) Write(p []byte) (int, error) {
	n, err := h.ResponseWriter.Write(p[:len(p)/2])
	if f, ok := h.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	if err != nil {
		return n, err
	}
	return len(p), nil
}
