package dialect

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

type callerKey struct{}

// Caller is the verified party of a request.
func Caller(r *http.Request) openflow.PartyID {
	id, _ := r.Context().Value(callerKey{}).(openflow.PartyID)
	return id
}

// JobOf decodes a body that begins with a reference to a job, and resolves that for the caller.
func JobOf(r *http.Request, into any, ref *wire.JobRef) (openflow.JobKey, error) {
	if err := reply.Read(r, into); err != nil {
		return openflow.JobKey{}, err
	}
	return ref.Key(Caller(r))
}

// RunOf is JobOf for a body that begins with a reference to a run, such as a forms.TaskRef.
func RunOf(r *http.Request, into any, ref interface {
	TaskKey(scheduler openflow.PartyID) (openflow.TaskKey, error)
}) (openflow.TaskKey, error) {
	if err := reply.Read(r, into); err != nil {
		return openflow.TaskKey{}, err
	}
	return ref.TaskKey(Caller(r))
}

// CallBytes bounds the body of a call between nodes that says little: of one job or run, and a text.
const CallBytes = 256 << 10

// Verified proves who sends a request by its header, then reads its body, of at most so many bytes, and hands both on. Of a
// caller that is not proven no body is read, and it learns nothing else than what refuse answers. Its connection is closed behind that.
// What follows has the whole body, and knows that it is the one that was signed.
func (n Node) Verified(most int64, refuse func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if n.Traced != nil {
			next = n.Traced(next)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.WithContext(r.Context()) // the server goes on with its own body
			caller, err := n.Verifier.Verify(r.Context(), r)
			if err != nil {
				refuse(w, r, err)
				return
			}
			reply.Known(w, r, "party "+string(caller))
			leave, err := n.admit(r, caller, most)
			if err == nil {
				defer leave()
				err = n.whole(r, most)
			}
			if err != nil {
				w.Header().Set("Connection", "close") // the rest of the body is not waited for
				if openflow.CodeOf(err) == openflow.CodeUnavailable {
					w.Header().Set("Retry-After", "1")
				}
				refuse(w, r, err)
				return
			}
			ctx := reply.Listening(context.WithValue(r.Context(), callerKey{}, caller), n.Log, "caller", caller)
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// admit lets a proven caller send a body, if it keeps its pace and has not too much under way. The body has not been read: it counts
// with the length that its header tells, and with all that it may have where that tells none.
func (n Node) admit(r *http.Request, caller openflow.PartyID, most int64) (leave func(), err error) {
	if leave, err = n.Intake.Enter("party "+string(caller), r.ContentLength, most); err != nil || n.Pace == nil {
		return leave, err
	}
	if err := n.Pace(r.Context(), caller, reply.Expected(r.ContentLength, most)); err != nil { // only what is read counts
		leave()
		return nil, err
	}
	return leave, nil
}

// whole replaces the body of a request by what has been read of it to its end.
func (n Node) whole(r *http.Request, most int64) error {
	body, err := reply.Body(r, most)
	r.Body = reply.Whole(body)
	return err
}

// Told is err in words for the caller; see openflow.ForPartners. This node's log has the rest.
func (n Node) Told(r *http.Request, err error) error {
	var missing wire.MissingFields
	if err == nil || errors.As(err, &missing) {
		return err
	}
	told := openflow.ForPartners(err)
	if full := err.Error(); told.Error() != full && told.Code != openflow.CodeInternal { // reply logs what is internal
		n.Log.WarnContext(r.Context(), "a caller is not told why", "caller", Caller(r), "path", r.URL.Path, "told", told.Error(), "err", full)
	}
	told.Err = err
	return told
}

// TaskOf finds the task of a job that a name of the dialect means, where the name itself does not tell. CodeNotFound: none.
func (n Node) TaskOf(
	ctx context.Context, scheduler openflow.PartyID, job openflow.JobID, means func(openflow.TaskName) bool,
) (openflow.TaskName, error) {
	tasks, err := n.Tasks(ctx, scheduler, job)
	if err != nil {
		return "", openflow.About(openflow.AboutJob, err)
	}
	if i := slices.IndexFunc(tasks, means); i >= 0 {
		return tasks[i], nil
	}
	return "", openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeNotFound, "job %s has no such task", job))
}

// Signed keeps the answer back until it is whole, and signs it.
func (n Node) Signed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := &kept{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(k, r)
		n.Signer.SignAnswer(w.Header(), r.Header, k.status, k.body.Bytes())
		w.WriteHeader(k.status)
		if _, err := w.Write(k.body.Bytes()); err != nil {
			n.Log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
		}
	})
}

// kept is an answer that has not been sent.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (k *kept) Header() http.Header { return k.header }

// WriteHeader implements http.ResponseWriter.
func (k *kept) WriteHeader(status int) { k.status = status }

// Write implements http.ResponseWriter.
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
