package rabbitmq_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow/rabbitmq"
	"openflow/tests/fuzzing"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10000"}
)

const (
	session = "1_psi_0_0"
	vhost   = session + "-guest-9999-host-10000"
	receive = "receive-" + session + "-host-10000-guest-9999-x-0"
)

// task is the guest's part.
func task() rabbitmq.Task {
	return rabbitmq.Task{Session: session, Own: guest, Parties: []openflow.Party{guest, host, arbiter}, Broker: openflow.Broker{
		User: "admin", Password: "secret", Use: openflow.BrokerUse{Partners: map[openflow.PartyID]string{"10000": "broker.b:5672"}},
	}}
}

// What FATE's components ask goes to the broker in the words of the node, and the upstream is that of the policy.
func TestWhatComponentsAsk(t *testing.T) {
	for ask, want := range map[string]string{
		"PUT users/" + session:                                `{"password":"` + session + `","tags":""}`,
		"DELETE users/" + session:                             "",
		"PUT vhosts/" + vhost:                                 "",
		"DELETE vhosts/" + vhost:                              "",
		"PUT vhosts/" + session + "-arbiter-10000-guest-9999": "",
		"PUT permissions/" + vhost + "/" + session:            `{"configure":".*","read":".*","write":".*"}`,
		"PUT permissions/" + vhost + "/openflow":              `{"configure":".*","read":".*","write":".*"}`,
		"PUT queues/" + vhost + "/" + receive:                 `{"arguments":{},"auto_delete":false,"durable":true}`,
		"GET queues/" + vhost:                                 "",
		"DELETE queues/" + vhost + "/" + receive:              "",
		"GET exchanges/" + vhost:                              "",
		"GET policies/" + vhost:                               "",
		"PUT policies/" + vhost + "/" + receive:               `{"apply-to":"queues","definition":{"federation-upstream":"` + receive + `"},"pattern":"^` + receive + `$"}`,
		"PUT parameters/federation-upstream/" + vhost + "/" + receive: `{"value":{"queue":"` + strings.Replace(receive, "receive", "send", 1) +
			`","uri":"amqp://` + session + ":" + session + `@broker.b:5672"}}`,
	} {
		method, path, _ := strings.Cut(ask, " ")
		a, err := task().Manage(method, "/api/"+path)
		require.NoError(t, err, ask)
		require.Equal(t, want, string(a.Body), ask)
		require.Equal(t, "/api/"+strings.Replace(path, "/openflow", "/admin", 1), a.Path, "the node's own account")
	}
}

// Nothing leads to what is another task's, another party's or the broker's own.
func TestWhatComponentsMayNotAsk(t *testing.T) {
	other := "2_psi_0_0"
	for _, ask := range []string{
		"GET overview", "GET users", "GET vhosts", "GET connections", "DELETE connections/x", "GET definitions", "POST definitions", "GET queues", "GET nodes",
		"PUT users/admin", "PUT users/openflow", "PUT users/" + other, "DELETE users/admin", "PUT users/" + session + "/x", "GET users/" + session,
		"PUT vhosts/" + other + "-guest-9999-host-10000", "DELETE vhosts/%2f", "DELETE vhosts//", "PUT vhosts/" + session,
		"PUT vhosts/" + session + "-host-10000-guest-9999", "PUT vhosts/" + session + "-arbiter-10000-host-10000", "PUT vhosts/" + vhost + "-x",
		"PUT permissions/" + vhost + "/guest", "PUT permissions/" + vhost + "/" + other, "DELETE permissions/" + vhost + "/openflow",
		"GET queues/" + other + "-guest-9999-host-10000", "PUT queues/" + vhost + "/x", "PUT queues/" + vhost + "/send-" + other + "-x",
		"PUT exchanges/" + vhost + "/" + receive, "POST queues/" + vhost + "/" + receive, "GET queues/" + vhost + "/" + receive + "/get",
		"POST exchanges/" + vhost + "/amq.default/publish", "PUT queues/" + vhost + "/" + receive + strings.Repeat("x", 300),
		"PUT queues/" + vhost + "/" + receive + "\n", "PUT parameters/shovel/" + vhost + "/" + receive, "PUT global-parameters/x", "PUT parameters/V/V", "PUT users/U",
		"PUT V", "PUT queues/V/Q", "PUT permissions/V/P", "GET " + vhost, "PUT policies/" + vhost + "/../" + receive, "",
	} {
		method, path, _ := strings.Cut(ask, " ")
		_, err := task().Manage(method, "/api/"+path)
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), ask)
	}
	for _, path := range []string{"", "/", "/api", "api/vhosts/" + vhost, "/cli/rabbitmqadmin", "/api/" + strings.Repeat("x", 5<<10)} {
		_, err := task().Manage(http.MethodGet, path)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), path)
	}
	none := task()
	none.Broker.Use.Partners = nil
	_, err := none.Manage(http.MethodPut, "/api/parameters/federation-upstream/"+vhost+"/"+receive)
	require.ErrorContains(t, err, "names no broker of party 10000")
}

func TestLogin(t *testing.T) {
	require.NoError(t, task().Login(session, vhost))
	for user, v := range map[string]string{"admin": vhost, "": vhost, session: "/", session + "x": vhost, "guest": session} {
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(task().Login(user, v)), "%s at %s", user, v)
	}
}

// Whatever is asked, what goes to the broker names a virtual host or user of the task, and no other.
func FuzzManage(f *testing.F) {
	f.Add("PUT", "/api/vhosts/"+vhost)
	f.Add("PUT", "/api/parameters/federation-upstream/"+vhost+"/"+receive)
	f.Add("DELETE", "/api/users/admin")
	fuzzing.Within(f, func(t *testing.T, method, path string) {
		a, err := task().Manage(method, path)
		if err != nil {
			return
		}
		require.True(t, strings.Contains(a.Path, "/"+vhost) || strings.Contains(a.Path, "/"+session+"-arbiter-10000-guest-9999") || a.Path == "/api/users/"+session, a.Path)
		require.NotContains(t, a.Path, "/..")
		require.LessOrEqual(t, strings.Count(a.Path, "/"), 5)
	})
}
