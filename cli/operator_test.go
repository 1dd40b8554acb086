package cli_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Jobs of two schedulers that share an ID are told apart in the list, since every other command asks for the scheduler.
func TestListTellsSchedulersApart(t *testing.T) {
	row := func(id, scheduler string) string {
		return `{"job_id":"` + id + `","scheduler_party_id":"` + scheduler + `","role":"guest","party_id":"9999","status":"running"}`
	}
	for name, tc := range map[string]struct {
		rows []string
		want bool
	}{
		"one ID of two schedulers": {[]string{row("1", "9999"), row("2", "9999"), row("1", "10001")}, true},
		"two roles of one job":     {[]string{row("1", "10001"), row("1", "10001")}, false},
		"two jobs":                 {[]string{row("1", "10001"), row("2", "9999")}, false},
		"none":                     {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := newFake(t, map[string]string{"GET /v2/job/list/query": `{"count":3,"data":[` + strings.Join(tc.rows, ",") + `]}`})
			got := run(t, "job", "list", "--node", url)
			require.Zero(t, got.code, got.stderr)
			require.Equal(t, tc.want, strings.Contains(got.stdout, "SCHEDULER"))
			require.Equal(t, tc.want, strings.Contains(got.stdout, "10001"), got.stdout)
		})
	}
}

// Advice names the scheduler where the command had to.
func TestAdviceNamesTheScheduler(t *testing.T) {
	_, url := newFake(t, map[string]string{stopRoute: `{}`})
	got := run(t, "job", "stop", "j1", "--scheduler", "10001", "--node", url)
	require.Equal(t, "job j1 is being stopped; follow it with: openflow job watch j1 --scheduler 10001\n", got.stdout)
}

func TestTaskWithoutALogIsSaidToHaveNone(t *testing.T) {
	answers := ended("success", "")
	answers["GET /openflow/v1/user/job/task/log"] = "!"
	_, url := newFake(t, answers)
	got := run(t, "job", "logs", "j1", "--task", "psi_0", "--node", url)
	require.Zero(t, got.code, got.stderr)
	require.Empty(t, got.stdout)
	require.Contains(t, got.stderr, "has written nothing")
}

// What a container has written moves no cursor, unless the user asks for the bytes. Nothing of it is left out, also where a
// character comes in two parts.
func TestLogsMoveNoCursor(t *testing.T) {
	answers := ended("success", "")
	written := strings.Repeat("ä", 20_000) + "\n\tred \x1b[31m\u202e\xff\n"
	answers["GET /openflow/v1/user/job/task/log"] = "!" + written
	_, url := newFake(t, answers)
	got := run(t, "job", "logs", "j1", "--task", "psi_0", "--node", url)
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, strings.Repeat("ä", 20_000)+"\n\tred \\x1b[31m\\u202e\\xff\n", got.stdout)
	got = run(t, "job", "logs", "j1", "--task", "psi_0", "--raw", "--node", url)
	require.Equal(t, written, got.stdout)
	got = run(t, "job", "logs", "j1", "--task", "psi_0", "-o", "json", "--node", url)
	require.Contains(t, got.stdout, `red \u001b[31m\u202e`)
	list, ok := got.document(t).([]any)
	require.True(t, ok)
	require.Equal(t, strings.ToValidUTF8(written, "\ufffd"), list[0].(map[string]any)["log"], "the document says the same")
}

func TestDescriptionOfAComponentHasLines(t *testing.T) {
	_, url := newFake(t, map[string]string{
		"GET /openflow/v1/user/component/show": `{"name":"psi","provider":"acme:1","default":true,"state":"LOADED","title":"PSI","form":"interop",
			"roles":["guest","host"],"stages":["default"],"protocols":[{"name":"acme/psi","version":"1"}],"runtime":"docker","way":"resident","runs":8,
			"parameters":[{"name":"curve","optional":true,"default":"p256","summary":"which curve","schema":{"enum":["p256","c25519"]}},{"name":"key","optional":false}],
			"inputs":[{"kind":"data","key":"ids","types":["csv"],"optional":true,"stages":["default"],"roles":["guest","host"]}],
			"outputs":[{"kind":"metric","key":"overlap","types":["json"],"stages":["default"],"roles":["guest"]}],"warnings":["x is ignored"]}`,
	})
	got := run(t, "component", "show", "psi", "--node", url)
	require.Equal(t, []string{
		"psi of acme:1: PSI", "state LOADED", "roles guest, host", "stages default", "speaks acme/psi@1", "runs on docker, resident, 8 runs at once in each container", "described as interop",
		`parameter curve optional one of "p256", "c25519" default "p256" which curve`, "parameter key required - - -", "input ids data csv optional default guest, host",
		"output overlap metric json required default guest", "warning x is ignored", "",
	}, strings.Split(regexp.MustCompile(` +`).ReplaceAllString(got.stdout, " "), "\n"))
}
