package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/store/catalogue/postgrestest"
	"openflow/store/redisdb/redistest"
	"openflow/tests/env"
)

// replicas are two servers of party 9999 behind one address, on a Temporal server, PostgreSQL, Redis and S3; party 10000
// has everything in one process. It speaks TLS with them through a balancer of connections, and pins the one key that they share.
type replicas struct {
	list    []*site
	peer    *site
	address string
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	t.Cleanup(postgrestest.Stop)
	temporalHome, at := filepath.Join(t.TempDir(), "temporal"), fmt.Sprintf("127.0.0.1:%d", env.Ports(t, 1)[0])
	ownTemporal(t, postgrestest.Database(t), "--home", temporalHome, "--listen", at)
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("openflow-test"))
	store := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(store.Close)
	shared := []string{
		"--temporal", at, "--temporal-token-file", filepath.Join(temporalHome, "api.token"),
		"--postgres", postgrestest.Database(t), "--redis", redistest.Start(t).URL(),
		"--s3", "s3://key:secret@" + strings.TrimPrefix(store.URL, "http://") + "/openflow-test/e2e?tls=false&region=us-east-1",
		"--worker-wait", "10s", "--machine-gone", "20s",
	}

	all := sites(t, "process", "9999", "10000")
	first := all["9999"]
	second := &site{party: "9999", home: filepath.Join(t.TempDir(), "second"), key: first.key}
	ports := env.Ports(t, 2)
	second.url, second.peers = fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("https://127.0.0.1:%d", ports[1])
	second.ground = newGround(t, "process", filepath.Join(t.TempDir(), "witness"), second.home)
	second.args = append([]string{}, first.args...)
	for flag, value := range map[string]string{
		"--listen": strings.TrimPrefix(second.url, "http://"), "--listen-interconnection": strings.TrimPrefix(second.peers, "https://"), "--home": second.home, "--components": second.ground.components(),
	} {
		set(second.args, flag, value)
	}
	second.args = append(second.args, "--secrets", first.home)
	t.Cleanup(func() { second.close(t) })
	r := &replicas{list: []*site{first, second}, peer: all["10000"]}
	var peers []string
	for _, s := range r.list {
		s.args = append(s.args, shared...)
		peers = append(peers, strings.TrimPrefix(s.peers, "https://"))
	}
	r.address = env.Balance(t, first.url, second.url)
	set(r.peer.args, "--peer", (&site{party: "9999", peers: "https://" + env.BalanceConnections(t, peers...), key: first.key}).peer())
	return r
}

// set gives a flag another value.
func set(args []string, flag, value string) {
	for i := range args[:len(args)-1] {
		if args[i] == flag {
			args[i+1] = value
			return
		}
	}
}

func (r *replicas) as(t *testing.T) *env.Client { return &env.Client{TB: t, URL: r.address} }

// starts counts the programs that a job has had at each replica.
func (r *replicas) starts(t *testing.T, id openflow.JobID) []int {
	var n []int
	for _, s := range r.list {
		n = append(n, ran(t, s, id))
	}
	return n
}

func TestReplicas(t *testing.T) {
	r := newReplicas(t)
	for _, s := range append([]*site{r.peer}, r.list...) {
		s.start(t)
	}
	user := r.as(t)

	t.Run("jobs run at both", func(t *testing.T) {
		total := []int{0, 0}
		env.WaitUntil(t, env.Patience, "both replicas have run something", func() (bool, string) {
			id := user.Submit(env.DAG(pair, lasting("a", 0, ""), lasting("b", 0, "", "a")))
			user.WaitFor(id, openflow.JobSuccess)
			r.peer.as(t).WaitFor(id, openflow.JobSuccess)
			n := r.starts(t, id)
			require.Equal(t, 2, n[0]+n[1], "one program for each run")
			total[0], total[1] = total[0]+n[0], total[1]+n[1]
			return total[0] > 0 && total[1] > 0, fmt.Sprint(total)
		})
	})
	t.Run("a repeated submission is one job", func(t *testing.T) {
		var ids []openflow.JobID
		for range 4 { // at each twice
			ids = append(ids, user.Submit(env.DAG(pair, env.Noop("a", nil)), "Idempotency-Key", "the same"))
		}
		require.Equal(t, []openflow.JobID{ids[0], ids[0], ids[0], ids[0]}, ids)
		user.WaitFor(ids[0], openflow.JobSuccess)
	})
	t.Run("tables and messages are shared", func(t *testing.T) { intersects(t, user, r.peer.as(t)) })
	t.Run("a request is taken once", r.replay)
	t.Run("a replica that follows nothing is killed", func(t *testing.T) {
		id, holder, other, release := r.running(t)
		other.kill(t)
		release()
		user.WaitFor(id, openflow.JobSuccess)
		require.Equal(t, 1, ran(t, holder, id))
		other.start(t)
	})
	t.Run("the replica that follows the container is killed and comes back", func(t *testing.T) {
		id, holder, other, release := r.running(t)
		holder.kill(t)
		holder.start(t)
		release()
		user.WaitFor(id, openflow.JobSuccess)
		require.Equal(t, []int{1, 0}, []int{ran(t, holder, id), ran(t, other, id)}, "adopted, and nowhere else")
	})
	t.Run("the replica that follows the container is gone", func(t *testing.T) {
		for _, s := range r.list {
			s.ground.hold(t, "a")
		}
		dag := env.DAG(alone, lasting("a", 0, ""))
		dag.Conf.AutoRetries = 1
		id := user.Submit(dag)
		holder, other := r.holder(t, id)
		holder.kill(t)
		user.WaitFor(id, openflow.JobSuccess)
		require.Equal(t, []int{1, 1}, []int{ran(t, holder, id), ran(t, other, id)}, "the second version runs elsewhere")
		holder.start(t)
	})
	nothingLeft(t, map[string]*site{"first": r.list[0], "second": r.list[1], "10000": r.peer})
}

// running submits a job of one task, which lasts until it is released, and tells which replica follows it.
func (r *replicas) running(t *testing.T) (id openflow.JobID, holder, other *site, release func()) {
	var releases []func()
	for _, s := range r.list {
		_, release := s.ground.hold(t, "a")
		releases = append(releases, release)
	}
	id = r.as(t).Submit(env.DAG(alone, lasting("a", 0, "")))
	holder, other = r.holder(t, id)
	return id, holder, other, func() {
		for _, release := range releases {
			release()
		}
	}
}

func (r *replicas) holder(t *testing.T, id openflow.JobID) (holder, other *site) {
	r.as(t).WaitForTask(id, "a", openflow.TaskRunning)
	env.WaitUntil(t, env.Patience, "its program runs", func() (bool, string) {
		n := r.starts(t, id)
		return n[0]+n[1] == 1, fmt.Sprint(n)
	})
	if ran(t, r.list[0], id) == 1 {
		return r.list[0], r.list[1]
	}
	return r.list[1], r.list[0]
}

// replay sends one signed request to both replicas: nonces are shared, so the second one refuses it.
func (r *replicas) replay(t *testing.T) {
	key, err := trust.LoadOrCreateKey(r.peer.home)
	require.NoError(t, err)
	own, err := key.Certificate("10000")
	require.NoError(t, err)
	theirs, err := trust.ParsePublicKey(r.list[0].key)
	require.NoError(t, err)
	known := trust.Calling(trust.Constant(own), "9999", "127.0.0.1", []trust.PublicKey{theirs}, nil)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: known, DisableKeepAlives: true}}
	body := []byte(`{}`)
	signed := httptest.NewRequest(http.MethodPost, "/openflow/v1/node/site", bytes.NewReader(body))
	signed.Header.Set("Content-Type", "application/json")
	trust.Signer{Party: "10000", Key: key}.Sign(signed, "9999", body, time.Now())
	var codes []string
	for _, s := range r.list {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.peers+signed.URL.Path, bytes.NewReader(body))
		require.NoError(t, err)
		q.Header = signed.Header.Clone()
		resp, err := client.Do(q)
		require.NoError(t, err)
		var answer struct{ Error wire.Problem }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.NoError(t, resp.Body.Close())
		codes = append(codes, answer.Error.Code)
	}
	require.Equal(t, []string{"", string(openflow.CodeUnauthorized)}, codes)
}

// intersects runs psi on tables of both parties: objects in the bucket, messages in Redis, whichever server gets them.
func intersects(t *testing.T, guest, host *env.Client) {
	const rows, shared = 4000, 2500
	upload(t, guest, host, rows, shared)
	id := guest.Submit(intersection())
	for i, user := range []*env.Client{guest, host} {
		user.WaitFor(id, openflow.JobSuccess)
		files := user.Archive("/v2/output/data/download", env.Run(id, string(pair[i].Role), string(pair[i].ID), "psi_0")...)
		require.Equal(t, shared+1, bytes.Count(files["output_data/0.csv"], []byte("\n")), "rows of %s", pair[i])
	}
}
