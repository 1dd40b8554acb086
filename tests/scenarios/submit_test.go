package scenarios_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

func TestSubmit(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))

	t.Run("a repeat with the same key is the same job", func(t *testing.T) {
		guest := e.As(t, "9999")
		d := env.DAG(pair, env.Noop("a", nil))
		first := guest.Submit(d, wire.IdempotencyHeader, "pay-day")
		require.Equal(t, first, guest.Submit(d, wire.IdempotencyHeader, "pay-day"), "while it runs")
		guest.WaitFor(first, openflow.JobSuccess)
		require.Equal(t, first, guest.Submit(d, wire.IdempotencyHeader, "pay-day"), "after it has ended")
		require.NotEqual(t, first, guest.Submit(d, wire.IdempotencyHeader, "next-day"), "another key is another job")
		e.OneStartEach(t, "9999", first, env.Key("a", pair[0]))

		other := guest.TrySubmit(env.DAG(pair, env.Noop("b", nil)), wire.IdempotencyHeader, "pay-day")
		require.NotZero(t, other.Code)
		require.Equal(t, string(openflow.CodeConflict), other.Error.Code, other.Message)
		require.Contains(t, other.Message, "pay-day", "names the key")
	})

	t.Run("concurrent repeats are one job", func(t *testing.T) {
		guest := e.As(t, "9999")
		d := env.DAG(pair, env.Noop("a", nil))
		answers := make(chan string)
		const repeats = 6
		for range repeats {
			go func() { answers <- string(guest.Submit(d, wire.IdempotencyHeader, "together")) }()
		}
		ids := map[string]int{}
		for range repeats {
			ids[<-answers]++
		}
		require.Len(t, ids, 1, "job IDs: %v", ids)
		require.NotContains(t, ids, "")
	})

	refusals := map[string]struct {
		dag     *openflow.DAG
		code    int
		message string
	}{
		"cycle": {
			env.DAG(pair, env.Noop("a", nil, "c"), env.Noop("b", nil, "a"), env.Noop("c", nil, "b")),
			wire.InvalidParameter, `cycle.*[abc].*[abc].*[abc]`,
		},
		"unknown upstream": {env.DAG(pair, env.Noop("a", nil, "nobody")), wire.InvalidParameter, `tasks\.a.*"nobody"`},
		"unknown component": {
			env.DAG(pair, openflow.Task{Name: "a", Component: "alchemy"}), wire.InvalidParameter,
			`at party 9999: dag.tasks.a.component_ref: no component "alchemy" at this site, which has: .*noop`,
		},
		"unknown role":  {env.DAG(env.Parties("boss 9999"), env.Noop("a", nil)), wire.InvalidParameter, `unknown role "boss"`},
		"unknown party": {env.DAG(env.Parties("guest 9999", "host 777"), env.Noop("a", nil)), wire.InvalidParameter, `party 777 is not a peer of party 9999, which is to schedule the job .*correct the party in the document, or register it there: openflow site add 777`},
		"unknown scheduler": {
			func() *openflow.DAG {
				d := env.DAG(pair, env.Noop("a", nil))
				d.Conf.Scheduler = "777"
				return d
			}(), wire.InvalidParameter, `party 777 is not a peer of party 9999`,
		},
		"missing table": {
			env.DAG(pair, openflow.Task{
				Name: "reader_0", Component: "reader", Parameters: openflow.Parameters{"namespace": "bank", "name": "nowhere"},
			}), wire.TableNotFound, `at party (9999|10000): .*no table bank[/.]nowhere.*openflow data upload`,
		},
		"task name that is a path": {env.DAG(pair, env.Noop("../../etc", nil)), wire.InvalidParameter, `not a valid name`},
		"no tasks":                 {env.DAG(pair), wire.InvalidParameter, `no tasks`},
	}
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			answer := e.As(t, "9999").TrySubmit(c.dag)
			require.Equal(t, c.code, answer.Code, answer.Message)
			require.Regexp(t, c.message, answer.Message)
			require.Empty(t, answer.JobID)
			e.NoCoresHeld(t)
			e.NoContainers(t)
		})
	}

	t.Run("a key that this version does not know is passed over", func(t *testing.T) {
		guest := e.As(t, "9999")
		id := guest.Post("/v2/job/submit", []byte(`{"dag_schema":{"schema_version":"2.2.0","kind":"fate","dag":{
			"parties":[{"role":"guest","party_id":[9999]}],"moon_phase":"full",
			"tasks":{"a":{"component_ref":"noop","colour":"red","parameters":null,"inputs":{}}}}}}`))
		guest.OK(id, nil)
		guest.WaitFor(openflow.JobID(id.JobID), openflow.JobSuccess)
	})

	bodies := map[string]struct {
		body    []byte
		message string
	}{
		"nothing":          {nil, "missing dag_schema"},
		"document alone":   {[]byte(`{"schema_version":"2.2.0","dag":{"parties":[]}}`), `missing dag_schema (the body has the form {"dag_schema": <document>}`},
		"no JSON":          {[]byte("dag: {}"), "invalid"},
		"cut off":          {[]byte(`{"dag_schema":{"dag":`), "invalid"},
		"another kind":     {[]byte(`{"dag_schema":{"schema_version":"2.2.0","kind":"bfia","dag":{}}}`), `"bfia" is not spoken here`},
		"deep nesting":     {[]byte(`{"dag_schema":` + strings.Repeat("[", 200_000)), "nested deeper than 64 levels"},
		"a huge body":      {bytes.Repeat([]byte(" "), 17<<20), "larger than"},
		"a huge document":  {[]byte(`{"dag_schema":{"x":"` + strings.Repeat("x", 9<<20) + `"}}`), "bytes"},
		"null DAG":         {[]byte(`{"dag_schema":null}`), "missing dag_schema"},
		"text for objects": {[]byte(`{"dag_schema":{"schema_version":"2.2.0","dag":"all of it"}}`), "dag"},
	}
	for name, c := range bodies {
		t.Run(name, func(t *testing.T) {
			answer := e.As(t, "9999").Post("/v2/job/submit", c.body)
			require.Equal(t, wire.InvalidParameter, answer.Code, answer.Message)
			require.Contains(t, answer.Message, c.message)
			require.Less(t, len(answer.Message), 1000, "a message is for reading")
		})
	}
}

// A partner that cannot be reached at submission is named with its address, and what was made elsewhere is undone, also
// at the partner when it comes back.
func TestPartnerAbsentAtSubmission(t *testing.T) {
	timing := env.Timing()
	timing.Create = 5 * time.Minute
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Deadlines(timing))
	three := env.Parties("guest 9999", "host 10000", "arbiter 10001")
	e.Stop(t, "10001")
	guest := e.As(t, "9999")
	began := time.Now()
	answer := guest.TrySubmit(env.DAG(three, env.Noop("a", nil)))
	require.Equal(t, wire.FederatedError, answer.Code, answer.Message)
	require.Contains(t, answer.Message, "party 10001")
	require.Contains(t, answer.Message, e.SecureURL("10001"))
	require.Less(t, time.Since(began), time.Minute, "the user is not kept waiting until the deadline")

	for _, party := range []string{"9999", "10000"} {
		user := e.As(t, party)
		env.WaitUntil(t, env.Patience, "the job has been undone at "+party, func() (bool, string) {
			e := user.Get("/v2/job/query", "party_id", party)
			var rows []wire.JobRow
			user.OK(e, &rows)
			return len(rows) == 1 && rows[0].Status == "failed", string(e.Data)
		})
	}
	e.NoCoresHeld(t)

	e.Start(t, "10001")
	id := guest.Submit(env.DAG(three, env.Noop("a", nil)))
	for _, party := range e.Parties {
		e.As(t, party).WaitFor(id, openflow.JobSuccess)
	}
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

func TestGrants(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Strict())
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	d := env.DAG(pair, env.Noop("a", nil))

	answer := guest.TrySubmit(d)
	require.Equal(t, wire.NoPermission, answer.Code, answer.Message)
	require.Regexp(t, `at party 10000: party 9999 may not use here: initiate jobs, schedule jobs, component noop \(.*openflow grant add 9999 --initiate --schedule --component noop\)`, answer.Message)
	require.Empty(t, e.Starts(t, "9999", openflow.JobID(answer.JobID)))

	for _, wrong := range []struct {
		body map[string]any
		code int
		says string
	}{
		{map[string]any{"party_id": "77", "component": "noop"}, wire.InvalidParameter, "party 77 is not known here (the parties known here are: 9999; "},
		{map[string]any{"party_id": "9999", "component": "noop,pssi"}, wire.PermissionOperate, `no component "pssi" at this site (it has: `},
	} {
		answer := host.Post("/v2/permission/resource/grant", wrong.body)
		require.Equal(t, wrong.code, answer.Code, answer.Message)
		require.Contains(t, answer.Message, wrong.says)
	}
	require.Equal(t, wire.NoPermission, guest.TrySubmit(d).Code, "nothing was granted beside a mistake")

	host.OK(host.Post("/v2/permission/resource/grant", map[string]any{"party_id": "9999", "component": "noop"}), nil)
	guest.WaitFor(guest.Submit(d), openflow.JobSuccess)

	reader := env.DAG(pair, env.Noop("a", nil),
		openflow.Task{Name: "r", Component: "reader", Parties: pair[1:], Parameters: openflow.Parameters{"namespace": "bank", "name": "secret"}})
	host.OK(host.Upload("bank", "secret", `{"match_id_name":"id","sample_id_name":"id"}`, strings.NewReader("id,x\n1,2\n")), nil)
	answer = guest.TrySubmit(reader)
	require.Equal(t, wire.NoPermission, answer.Code, answer.Message)
	require.Regexp(t, `component reader.*table bank[/.]secret.*openflow grant add 9999 --component reader --table bank[/.]secret`, answer.Message)
	host.OK(host.Post("/v2/permission/resource/grant", map[string]any{
		"party_id": "9999", "component": "reader", "dataset": []map[string]string{{"namespace": "bank", "name": "secret"}},
	}), nil)
	guest.WaitFor(guest.Submit(reader), openflow.JobSuccess)

	both := &sdk.Client{URL: host.URL}
	_, err := both.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "noop"}, {Name: "psi"}}})
	require.NoError(t, err)
	delete := map[string]any{"party_id": "9999", "component": "noop"}
	require.Contains(t, host.Post("/v2/permission/resource/delete", delete).Message, "openflow grant remove g-", "not a part of a grant")
	grants, err := both.Grants(t.Context(), "9999")
	require.NoError(t, err)
	for _, g := range grants {
		if len(g.Components) == 2 {
			_, err = both.Revoke(t.Context(), g.ID)
			require.NoError(t, err)
		}
	}
	host.OK(host.Post("/v2/permission/resource/delete", delete), nil)
	require.Equal(t, wire.NoPermission, guest.TrySubmit(d).Code, "a grant that was taken back")
	e.NoContainers(t)
}

func TestToken(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Token())
	user := e.As(t, "9999")
	user.OK(user.Get("/v2/site/info/query"), nil)
	for name, token := range map[string]string{"none": "", "wrong": "0123456789abcdef"} {
		t.Run(name, func(t *testing.T) {
			stranger := &env.Client{TB: t, URL: user.URL, Token: token}
			for _, path := range []string{"/v2/site/info/query", "/v2/job/query", "/openflow/v1/user/server/about"} {
				answer := stranger.Get(path)
				require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(answer.Err()), path)
				require.ErrorContains(t, answer.Err(), "needs a token")
				require.Empty(t, answer.Data)
			}
			answer := stranger.TrySubmit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
			require.Equal(t, wire.VerifyFailed, answer.Code)
		})
	}
}

// Requests between nodes are good from the right party, to the right party, whole, now and once.
func TestForgedRequests(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Proxied())
	guest := e.As(t, "9999")
	job := guest.Submit(env.DAG(pair, env.Noop("a", nil)))
	guest.WaitFor(job, openflow.JobSuccess)
	e.As(t, "10000").WaitFor(job, openflow.JobSuccess) // it hears so a moment later
	link := e.Link(t, "9999", "10000")
	captured := link.Seen("/openflow/v1/node/job/open")
	require.NotEmpty(t, captured)

	t.Run("replayed", func(t *testing.T) {
		refused(t, string(link.Replay(t, captured[0])), "once|before|replay|used")
	})
	t.Run("changed on the way", func(t *testing.T) {
		forged := captured[0]
		forged.Body = bytes.ReplaceAll(forged.Body, []byte(`noop`), []byte(`psi `))
		refused(t, string(link.Replay(t, forged)), "signature|received before")
	})
	t.Run("sent to another path", func(t *testing.T) {
		forged := captured[0]
		forged.Path = "/v2/partner/job/stop"
		refused(t, string(link.Replay(t, forged)), "signature")
	})
	t.Run("without a signature", func(t *testing.T) {
		forged := captured[0]
		forged.Header = http.Header{"Content-Type": {"application/json"}}
		refused(t, string(link.Replay(t, forged)), "sign")
	})

	stop := []byte(`{"job_id":"` + string(job) + `","role":"host","party_id":"10000","status":"canceled"}`)
	send := func(t *testing.T, s trust.Signer, to openflow.PartyID, at time.Time) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.PeersURL("10000")+"/v2/partner/job/stop", bytes.NewReader(stop))
		require.NoError(t, err)
		s.Sign(r, to, stop, at)
		_, _, answer, err := env.Send(t.Context(), r.URL.String(), r.Method, r.Header, stop)
		require.NoError(t, err)
		return string(answer)
	}
	own := e.Key(t, "9999")
	stranger := filepath.Join(t.TempDir(), "stranger")
	require.NoError(t, os.Mkdir(stranger, 0o700))
	foreign, err := trust.LoadOrCreateKey(stranger)
	require.NoError(t, err)
	t.Run("by a stranger's key", func(t *testing.T) {
		refused(t, send(t, trust.Signer{Party: "9999", Key: foreign}, "10000", time.Now()), "key")
	})
	t.Run("by an unknown party", func(t *testing.T) {
		refused(t, send(t, trust.Signer{Party: "777", Key: foreign}, "10000", time.Now()), "777")
	})
	t.Run("meant for another party", func(t *testing.T) {
		refused(t, send(t, trust.Signer{Party: "9999", Key: own}, "10001", time.Now()), "10001")
	})
	t.Run("too old", func(t *testing.T) {
		refused(t, send(t, trust.Signer{Party: "9999", Key: own}, "10000", time.Now().Add(-time.Hour)), "clock|time|old")
	})
	t.Run("the same call, rightly signed, is heard", func(t *testing.T) {
		require.Contains(t, send(t, trust.Signer{Party: "9999", Key: own}, "10000", time.Now()), `"code":0`)
	})
	require.Equal(t, "success", e.As(t, "10000").Jobs(job)[0].Status)
}

func refused(t *testing.T, answer, pattern string) {
	t.Helper()
	require.Regexp(t, `"code":(500[0-9]|"unauthorized")`, answer)
	require.Regexp(t, pattern, answer)
}
