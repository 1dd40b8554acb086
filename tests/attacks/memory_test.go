package attacks_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire/ptp"
	"openflow/server/base"
	"openflow/site/trust"
	"openflow/store/messages"
	"openflow/tests/env"
)

// exchange is a call of a run's container about messages.
func exchange(t *testing.T, e *env.Env, k openflow.TaskKey, op string, to openflow.PartyID, contentType string, body []byte) ptp.TransportOutbound {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.Node(t, string(k.Party.ID)).BaseURL()+"/v1/interconn/chan/"+op, bytes.NewReader(body))
	require.NoError(t, err)
	r.Header = carried(t, e, k)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set(ptp.HeaderTargetNodeID, string(to))
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	out, err := ptp.DecodeReply(resp.Header.Get("Content-Type"), answer)
	require.NoError(t, err)
	return out
}

func carried(t *testing.T, e *env.Env, k openflow.TaskKey) http.Header {
	t.Helper()
	secrets, err := trust.LoadOrCreateCredentials(e.Home(string(k.Party.ID)))
	require.NoError(t, err)
	return http.Header{"Authorization": {"Bearer " + secrets.Issue(k)}, "Content-Type": {ptp.TypeProtobuf}}
}

// heap is what is in the memory of all nodes of this process, in bytes.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Somebody who puts many of the largest messages at once gets as many into memory as one may, whatever it announces and however
// slowly it sends. The rest is told to come again, without being read. Meanwhile others exchange theirs, and the job ends.
func TestManyLargeMessagesAtOnce(t *testing.T) {
	const attempts, size = 64, messages.DefaultMessageBytes
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	greedy, honest := user.Submit(env.DAG(two, env.Noop("a", nil))), user.Submit(env.DAG(two, env.Noop("a", nil)))
	for _, job := range []openflow.JobID{greedy, honest} {
		user.WaitForTask(job, "a", openflow.TaskRunning)
	}
	run := func(job openflow.JobID, p openflow.Party) openflow.TaskKey {
		return openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: p}
	}
	a := attack(t, e, "10000", "9999")
	const invoke, push = "/v1/interconn/chan/invoke", "/v1/interconn/chan/push"
	for who, begin := range map[string]func() (url, head string){
		"a container": func() (string, string) {
			return e.Node(t, "9999").BaseURL(), head(push, carried(t, e, run(greedy, two[0])), size)
		},
		"a peer": func() (string, string) { return a.url, head(invoke, a.signed(invoke, []byte("never sent")), size) },
	} {
		t.Run(who, func(t *testing.T) {
			before := heap()
			var refused, held atomic.Int32
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var lines []line
			for range attempts {
				url, text := begin()
				c := dial(t, "127.0.0.1", url)
				_, err := io.WriteString(c, text)
				require.NoError(t, err)
				lines = append(lines, c)
				go func() {
					resp, err := http.ReadResponse(c.answers, nil)
					switch {
					case ctx.Err() != nil:
					case err == nil && resp.StatusCode < http.StatusInternalServerError:
						refused.Add(1)
						_ = resp.Body.Close()
					default:
						held.Add(1)
					}
				}()
			}
			env.WaitUntil(t, env.Patience, "all but one are refused", func() (bool, string) {
				return refused.Load() == attempts-1, fmt.Sprint(refused.Load(), " are")
			})
			part := make([]byte, 2<<20) // enough for the node to believe that the rest comes too
			for _, c := range lines {
				_, _ = c.Write(part) // those that were refused are closed
			}
			topic := base.TopicPrefix(two[0], two[1]) + who
			contentType, body := ptp.EncodePush(ptp.FormProtobuf, ptp.PushInbound{Topic: topic, Payload: make([]byte, 1<<20)})
			require.NoError(t, exchange(t, e, run(honest, two[0]), "push", two[1].ID, contentType, body).Err())
			contentType, body = ptp.EncodePop(ptp.FormProtobuf, ptp.PopInbound{Topic: topic, Timeout: 60_000})
			out := exchange(t, e, run(honest, two[1]), "pop", two[0].ID, contentType, body)
			require.NoError(t, out.Err())
			require.Len(t, out.Payload, 1<<20)
			require.Less(t, int64(heap())-int64(before), int64(3*size), "%d of them would be %d", attempts, int64(attempts*size))
			require.Zero(t, held.Load())
			cancel()
			for _, c := range lines {
				_ = c.Close() // the node may have been faster
			}
			env.WaitUntil(t, env.Patience, "what was held is free again", func() (bool, string) {
				url, text := begin()
				c := dial(t, "127.0.0.1", url)
				defer c.Close()
				_, err := io.WriteString(c, text)
				require.NoError(t, err)
				require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
				_, err = c.answers.ReadByte()
				return isTimeout(err), "an answer at once"
			})
		})
	}
	release()
	for _, job := range []openflow.JobID{greedy, honest} {
		user.WaitFor(job, openflow.JobSuccess)
	}
}

// A container that waits for messages on as many connections as it gets has so many calls under way as one run may. The others are
// told so, and containers of other runs are answered.
func TestContainerHoldsConnections(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	greedy, honest := user.Submit(env.DAG(two, env.Noop("a", nil))), user.Submit(env.DAG(two, env.Noop("a", nil)))
	for _, job := range []openflow.JobID{greedy, honest} {
		user.WaitForTask(job, "a", openflow.TaskRunning)
	}
	run := func(job openflow.JobID) openflow.TaskKey {
		return openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: two[0]}
	}
	url := e.Node(t, "9999").BaseURL()
	h := carried(t, e, run(greedy))
	h.Set(ptp.HeaderTopic, base.TopicPrefix(two[1], two[0])+"never")
	h.Set(ptp.HeaderTargetNodeID, "10000")
	refused := make(chan string, 300)
	for range cap(refused) {
		c := dial(t, "127.0.0.1", url)
		_, err := io.WriteString(c, head("/v1/interconn/chan/pop?timeout=300", h, 0))
		require.NoError(t, err)
		go func() {
			got, err := http.ReadResponse(c.answers, nil)
			if err != nil {
				return // the test has ended
			}
			body, _ := io.ReadAll(got.Body)
			refused <- string(body)
		}()
	}
	require.Contains(t, <-refused, "calls under way")
	out := exchange(t, e, run(honest), "peek", "10000", ptp.TypeProtobuf, nil)
	require.NotEmpty(t, out.Code, "another run is answered")
	release()
	user.WaitFor(honest, openflow.JobSuccess)
}
