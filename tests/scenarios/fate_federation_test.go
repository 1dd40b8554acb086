package scenarios_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow/rabbitmq/brokertest"
	"openflow/sdk"
	"openflow/tests/env"
)

// talkers are two sites, each with the provider whose components talk.
func talkers(t *testing.T, options ...env.Option) *env.Env {
	t.Helper()
	e := env.New(t, append([]env.Option{env.Trust("talkfate"), env.Party("9999"), env.Party("10000")}, options...)...)
	for _, party := range []string{"9999", "10000"} {
		answer := e.As(t, party).Post("/v2/provider/register", map[string]any{
			"name": "talkfate", "version": "1.0", "device": "local", "metadata": map[string]any{"path": env.TalkingFATE(t), "venv": env.Interpreter},
		})
		require.Zero(t, answer.Code, answer.Message)
	}
	return e
}

func talk(name string, parameters openflow.Parameters) openflow.Task {
	return by("talkfate", "talk", name, parameters)
}

// Components of FATE at two sites exchange messages by OSX, as they are configured for it. Each calls an address of its own
// container, by gRPC and without a credential. What they send goes through both nodes.
func TestComponentsOfFATETalkByOSX(t *testing.T) {
	e := talkers(t)
	guest := e.As(t, "9999")
	parties := env.Parties("guest 9999", "host 10000")
	id := guest.Submit(env.DAG(parties, talk("many_0", openflow.Parameters{"messages": 50.0}), talk("large_0", openflow.Parameters{"messages": 2.0, "size": float64(6 << 20)})))
	guest.WaitFor(id, openflow.JobSuccess)
	for _, task := range []string{"many_0", "large_0"} {
		for _, party := range []string{"guest 9999", "host 10000"} {
			role, site, _ := strings.Cut(party, " ")
			require.Contains(t, e.As(t, site).TaskLog(env.Run(id, role, site, task)), "by osx, ", "%s at %s", task, party)
		}
	}
	require.JSONEq(t, `{"messages":50}`, string(guest.Metrics(env.Run(id, "guest", "9999", "many_0"))["talk"]))
}

// The same by a broker of each site, which copies from that of the partner: the components reach their own through their node, and
// the node asks its management in their place. What is another's there, they do not get.
func TestComponentsOfFATETalkByRabbitMQ(t *testing.T) {
	started := brokertest.Start(t, 2)
	brokers := map[string]brokertest.Broker{"9999": started[0], "10000": started[1]}
	policy := func(own, other string) env.Option {
		account := filepath.Join(t.TempDir(), "account")
		require.NoError(t, os.WriteFile(account, []byte(brokertest.User+":"+brokertest.Password+"\n"), 0o600))
		return env.Policy(own, fmt.Sprintf("engines:\n  rabbitmq: [\"talkfate %s %d %s\"]\n  partners: [\"talkfate %s %s\"]\n",
			brokers[own].Address(), brokers[own].Management, account, other, brokers[other].Address()))
	}
	e := talkers(t, policy("9999", "10000"), policy("10000", "9999"))
	guest := e.As(t, "9999")
	parties := env.Parties("guest 9999", "host 10000")
	id := guest.Submit(env.DAG(parties, talk("talk_0", openflow.Parameters{"messages": 20.0, "size": 100000.0})))
	guest.WaitFor(id, openflow.JobSuccess)
	require.Contains(t, guest.TaskLog(env.Run(id, "guest", "9999", "talk_0")), "by rabbitmq, 20 messages")
	require.Contains(t, e.As(t, "10000").TaskLog(env.Run(id, "host", "10000", "talk_0")), "by rabbitmq, 20 messages")
	events, err := (&sdk.Client{URL: e.URL("9999")}).Audit(t.Context(), sdk.AuditFilter{Action: "broker.use"})
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(events), "broker.use")

	id = guest.Submit(env.DAG(parties, talk("talk_0", openflow.Parameters{"trouble": "wander"})))
	guest.WaitFor(id, openflow.JobSuccess)
	log := guest.TaskLog(env.Run(id, "guest", "9999", "talk_0"))
	for _, want := range []string{
		"WANDER GET overview out", "WANDER GET connections out", "WANDER PUT users/admin out", "WANDER PUT vhosts/other out", "WANDER PUT users/SESSION in",
	} {
		require.Contains(t, log, want)
	}
	require.Equal(t, 3, strings.Count(log, "WANDER open / out"), log)
	require.NotContains(t, log, brokertest.Password)
}
