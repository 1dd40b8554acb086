package cli_test

import (
	"encoding/json"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/site/trust"
)

func TestEveryAnswerIsOneDocument(t *testing.T) {
	dagFile, csv := writeFile(t, "dag.yaml", dag), writeFile(t, "t.csv", "id,x\na,1\n")
	key := newKey(t)
	answers := ended("success", "")
	for route, answer := range map[string]string{
		"GET /openflow/v1/user/job/task/log":  "!some text",
		"GET /v2/output/data/table":           `!{}`,
		"GET /v2/output/model/query":          `!{"code":2005,"message":"none","error":{"code":"not_found","subject":"model","message":"none"}}`,
		"GET /v2/output/metric/query":         "[]",
		"POST /v2/data/component/upload/file": `{"namespace":"demo","name":"t","count":1,"columns":["id","x"]}`,
		"GET /openflow/v1/user/table/list":    `[{"namespace":"demo","name":"t","count":3,"data_type":"dataframe","source":{}}]`,
		"GET /openflow/v1/user/site/list":     `[{"party_id":"10000","url":"http://h","keys":["k"],"added_at":1767322800000,"dialect":"openflow"}]`,
		"GET /openflow/v1/user/site/workers":  `[{"machine":"m1","name":"big","labels":["gpu","fast"],"runtime":"docker","cores":8,"running":["J_a"]}]`,
		"POST /openflow/v1/user/site/add":     "null", "POST /openflow/v1/user/site/remove": "null", "POST /openflow/v1/user/site/rotate": "null",
		"GET /openflow/v1/user/server/about":  `{"party_id":"9999"}`,
		"GET /openflow/v1/user/grant/list":    `{"grants":[` + aGrant + `]}`,
		"POST /openflow/v1/user/grant/add":    `{"grants":[` + aGrant + `]}`,
		"POST /openflow/v1/user/grant/remove": `{"grants":[` + aGrant + `]}`,
		"GET /v2/table/query": `{"namespace":"demo","name":"t","count":2,"data_type":"dataframe","display":[["1",7,0.5],["2",8,null]],
			"meta":{"schema_meta":{"fields":[{"property":"sample_id","name":"id","dtype":"index"},{"property":"label","name":"y","dtype":"int32"}]}}}`,
		"GET /openflow/v1/user/table/uses": `{"parties":["10000"],"jobs":[{"job_id":"j1","role":"guest","status":"running","create_time":1767322800000}]}`,
		"POST /v2/table/delete":            "null",
		"GET /openflow/v1/user/audit/list": `{"events":[{"id":"e","time":1767322800000,"actor":"user ann","action":"grant","subject":"10000"},
			{"id":"d","time":1767322800000,"actor":"party 9999","action":"job/create","subject":"job 1","party":"9999","outcome":"refused","count":7,"authority":"initiator 9999, scheduler 9999, signed","detail":"no grant"}],"next":"n1"}`,
		"GET /openflow/v1/user/provider/list":      `[{"name":"openflow","version":"0.1.0","kind":"built-in","place":"/usr/lib/c","digest":"sha256:0123456789abcdef","components":[{"name":"psi","state":"LOADED"},{"name":"lr","state":"FAILED"}]}]`,
		"GET /openflow/v1/user/provider/papers":    `{"provider":"acme:1.2.0","signed_by":"E762 (lusab)","origin":"given","sbom":{"bomFormat":"CycloneDX"},"refused":"policy.images.blocking_severity: bad","vulnerabilities":[{"id":"GO-1","package":"Go x","version":"1","fixed":["2"]}]}`,
		"GET /openflow/v1/user/provider/show":      `{"name":"acme","version":"1.2.0","kind":"image","place":"acme/psi:1","digest":"sha256:0123","added_by":"ann","added_at":1767322800000,"components":[{"name":"psi","state":"FAILED","reason":"it is gone"}]}`,
		"POST /openflow/v1/user/provider/register": `{"name":"acme","version":"1.2.0","components":[{"name":"psi","wishes":{"mounts":["/models"]}},{"name":"tree"}]}`,
		"POST /openflow/v1/user/provider/remove":   `{"name":"acme","version":"1.2.0"}`,
		"POST /openflow/v1/user/component/load":    `[{"component":"psi","provider":"acme:1.2.0","from":"FAILED","to":"LOADED","time":1767322800000}]`,
		"POST /openflow/v1/user/component/unload":  `[]`,
		"POST /openflow/v1/user/component/check":   `[{"name":"entry point","status":"warn","detail":"it has none","remedy":"give it one"}]`,
		"GET /openflow/v1/user/component/list":     `[{"name":"psi","provider":"acme:1.2.0","default":true,"runtime":"docker","state":"FAILED","reason":"it is gone"}]`,
		"GET /openflow/v1/user/component/show":     `{"name":"psi","provider":"acme:1.2.0","default":true,"wishes":{"networks":["lake"],"cores":4},"description":{"component":{"name":"psi"}}}`,
		"POST /openflow/v1/user/component/default": "null",
		"GET /openflow/v1/user/app/list":           `[{"id":"40172236","kind":"client","name":"portal","role":"client","plain":true,"by":"user ann","made":1767322800000}]`,
		"POST /openflow/v1/user/app/add":           `{"id":"40172236","kind":"client","name":"portal","role":"client","token":"aB3dE5gH7jK9mN1p"}`,
		"POST /openflow/v1/user/app/remove":        `{"id":"40172236","kind":"client","name":"portal","role":"client"}`,
	} {
		answers[route] = answer
	}
	commands := map[string]string{ // to a word of the text for people
		"job submit " + dagFile:         "openflow job watch j1",
		"job submit --watch " + dagFile: "psi_0",
		"job watch j1":                  "guest 9999, host 10000",
		"job list":                      "2 more",
		"job show j1":                   "exit code 3",
		"job stop j1":                   "is canceled: nothing of it runs at any party",
		"job logs j1 --task psi_0":      "some text",
		"job output j1 --task psi_0":    "KIND",
		"data upload --namespace demo --name t " + csv: "demo/t",
		"data list":                          "dataframe",
		"data show demo/t":                   "granted to",
		"data delete demo/t --yes":           "is deleted",
		"audit list --since 24h --actor ann": "more: --after n1",
		"site key --home " + filepath.Join(t.TempDir(), "h"): "ed25519:",
		"site list": "http://h",
		"site worker-token --rotate --home " + filepath.Join(t.TempDir(), "w"): "",
		"site workers":       "gpu,fast",
		"provider list":      "1 FAILED, 1 LOADED",
		"provider show acme": "FAILED: it is gone",
		"provider register acme/psi:1.2 --name acme":                    "acme:1.2.0 is registered: psi, tree",
		"provider register acme/psi:1.2":                                "psi wishes for mounts: /models",
		"component show psi":                                            "cores: 4 at least",
		"component show psi --provider acme:1.2.0":                      "networks: lake",
		"provider remove acme":                                          "acme:1.2.0 is removed",
		"component list":                                                "FAILED: it is gone",
		"component show psi --provider acme":                            "psi of acme:1.2.0",
		"component load psi":                                            "psi of acme:1.2.0 is LOADED",
		"component unload --provider acme":                              "nothing has changed",
		"component check acme/psi:1.2":                                  "give it one",
		"component default psi --provider acme":                         "is served by acme",
		"component default psi":                                         "no default provider",
		"app add portal":                                                "flow init --ip HOST --port PORT --app-id 40172236 --app-token aB3dE5gH7jK9mN1p",
		"app list":                                                      "also without TLS",
		"app remove portal":                                             "taken back: app 40172236",
		"site add 10000 --url http://h --key " + key:                    "registered",
		"site remove 10000":                                             "removed",
		"site rotate 10000 --key " + key:                                "new key",
		"grant add 10000 --component psi --component lr --table demo/t": "g-1",
		"grant list":                                                    "columns id, x of demo/t",
		"grant list 10000":                                              "psi on",
		"grant show 10000":                                              "Party 10000 may not schedule jobs here.",
		"grant remove g-1":                                              "taken back: Party 10000",
	}
	for command, word := range commands {
		t.Run(command, func(t *testing.T) {
			_, url := newFake(t, answers)
			args := append(strings.Fields(command), "--node", url)
			text := run(t, args...)
			require.Zero(t, text.code, text.stderr)
			require.Contains(t, text.stdout, word)
			doc := run(t, append(args, "-o", "json")...)
			require.Zero(t, doc.code, doc.stderr)
			require.NotNil(t, doc.document(t))
		})
	}
}

func newKey(tb testing.TB) string {
	tb.Helper()
	k, err := trust.LoadOrCreateKey(filepath.Join(tb.TempDir(), "home"))
	require.NoError(tb, err)
	return k.Public().String()
}

func TestSubmitSendsKeyUserAndDocument(t *testing.T) {
	f, url := newFake(t, ended("success", ""))
	r := runWith(t, dag, "job", "submit", "-", "--key", "k1", "--user", "ann", "--purpose", "scores", "--node", url, "-o", "json")
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, map[string]any{
		"job_id": "j1", "model_id": "m", "model_version": "0", "warnings": []any{"mind the arbiter"},
	}, r.document(t))
	require.Equal(t, "k1", f.head[submitRoute].Get("Idempotency-Key"))
	require.Equal(t, "ann", f.head[submitRoute].Get("User-Name"))
	require.Contains(t, f.got(submitRoute), `"component_ref":"reader"`)
	require.Contains(t, f.got(submitRoute), `"purpose":"scores"`)
}

func TestFailedJobIsStillADocument(t *testing.T) {
	_, url := newFake(t, ended("failed", "psi_0 failed"))
	r := run(t, "job", "watch", "j1", "--node", url, "-o", "json")
	require.Equal(t, 1, r.code)
	doc, ok := r.document(t).(map[string]any)
	require.True(t, ok)
	require.Equal(t, "failed", doc["status"])
	require.Equal(t, "psi_0 failed", doc["reason"])
	require.Len(t, doc["tasks"], 1)
	require.NotContains(t, r.stderr, "openflow:", "the failure has been shown")
}

// Whose job it is, what for, and whether that is proven.
func TestShowTellsTheAuthority(t *testing.T) {
	answers := ended("success", "")
	_, url := newFake(t, answers)
	shown := run(t, "job", "show", "j1", "--node", url).stdout
	require.Contains(t, shown, "purpose    scores of customers\n")
	require.NotContains(t, shown, "authority")
	answers[jobRoute] = strings.Replace(answers[jobRoute], `"signed":true`, `"signed":false`, 1)
	_, url = newFake(t, answers)
	require.Contains(t, run(t, "job", "show", "j1", "--node", url).stdout, "authority  party 9999 has not signed the job")
}

func TestShowTellsTheReport(t *testing.T) {
	_, url := newFake(t, ended("failed", `a\u001b[31mred`))
	r := run(t, "job", "show", "j1", "--node", url)
	require.Zero(t, r.code)
	require.Contains(t, r.stdout, "reported:\n  bad parameter\n  at line 2")
	require.NotContains(t, r.stdout, "\x1b", "texts of others move no cursor")
}

func TestShowListsTasksAsTheyRun(t *testing.T) {
	answers := ended("success", "")
	document := `{"schema_version":"2.2.0","dag":{"parties":[{"role":"guest","party_id":["9999"]}],"tasks":{
		"z":{"component_ref":"reader"},
		"a":{"component_ref":"psi","inputs":{"data":{"in":{"task_output_artifact":{"producer_task":"z","output_artifact_key":"out"}}}}}}}}`
	answers[jobRoute] = strings.Replace(answers[jobRoute], `"job_id"`, `"dag":`+document+`,"job_id"`, 1)
	task := func(name string) string { return strings.Replace(taskRow, "psi_0", name, 1) }
	answers[tasksRoute] = "[" + task("a") + "," + task("z") + "]"
	_, url := newFake(t, answers)
	r := run(t, "job", "show", "j1", "--node", url)
	require.Zero(t, r.code, r.stderr)
	require.Less(t, strings.Index(r.stdout, "\nz "), strings.Index(r.stdout, "\na "))
}

func TestTaskChoice(t *testing.T) {
	host := strings.Replace(taskRow, `"guest"`, `"host"`, 1)
	answers := map[string]string{tasksRoute: "[" + taskRow + "," + host + "]", "GET /openflow/v1/user/job/task/log": "!text\n"}
	cases := map[string]struct {
		args []string
		code int
		out  string
	}{
		"both, with headings": {[]string{"job", "logs", "j1"}, 0, "==> psi_0 (host 9999) <==\ntext"},
		"one, without":        {[]string{"job", "logs", "j1", "--role", "host"}, 0, "text\n"},
		"no such task":        {[]string{"job", "logs", "j1", "--task", "nope"}, 1, "psi_0 (guest 9999), psi_0 (host 9999)"},
		"no such party":       {[]string{"job", "logs", "j1", "--party", "1"}, 1, "has no task"},
		"output needs a task": {[]string{"job", "output", "j1"}, 2, "--task is missing"},
		"output needs a role": {[]string{"job", "output", "j1", "--task", "psi_0"}, 2, "--role"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, url := newFake(t, answers)
			r := run(t, append(c.args, "--node", url)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stdout+r.stderr, c.out)
			if name == "one, without" {
				require.Equal(t, c.out, r.stdout)
			}
		})
	}
}

func outputs(t *testing.T, key string) string {
	t.Helper()
	_, url := newFake(t, map[string]string{
		tasksRoute:                    "[" + taskRow + "]",
		"GET /v2/output/data/table":   `!{}`,
		"GET /v2/output/model/query":  `{"` + key + `":{"w":1}}`,
		"GET /v2/output/metric/query": `[{"name":"auc","type":"auc","data":0.9}]`,
	})
	return url
}

func TestOutputWritesFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r := run(t, "job", "output", "j1", "--task", "psi_0", "-d", dir, "--node", outputs(t, "output_model"))
	require.Zero(t, r.code, r.stderr)
	model, err := os.ReadFile(filepath.Join(dir, "output_model.model.json"))
	require.NoError(t, err)
	require.JSONEq(t, `{"w":1}`, string(model))
	metrics, err := os.ReadFile(filepath.Join(dir, "metrics.json"))
	require.NoError(t, err)
	require.Contains(t, string(metrics), "0.9")
	require.Contains(t, r.stdout, "0.9")
}

func TestOutputKeyIsNoPath(t *testing.T) {
	parent := t.TempDir()
	r := run(t, "job", "output", "j1", "--task", "psi_0", "-d", filepath.Join(parent, "d"), "--node", outputs(t, "../x"))
	require.NotZero(t, r.code)
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestUploadSendsFieldsBeforeTheFile(t *testing.T) {
	f, url := newFake(t, map[string]string{"POST /v2/data/component/upload/file": `{"namespace":"demo","name":"t","count":1}`})
	const csv = "id,y\na,1\n"
	r := runWith(t, csv, "data", "upload", "-", "--namespace", "demo", "--name", "t", "--id", "id", "--match", "id2", "--label", "y",
		"--na", "", "--na", "NA", "--extend-sid", "--node", url)
	require.Zero(t, r.code, r.stderr)
	const route = "POST /v2/data/component/upload/file"
	_, params, err := mime.ParseMediaType(f.head[route].Get("Content-Type"))
	require.NoError(t, err)
	form := multipart.NewReader(strings.NewReader(f.got(route)), params["boundary"])
	var order []string
	for {
		p, err := form.NextPart()
		if err != nil {
			break
		}
		b, err := readAll(p)
		require.NoError(t, err)
		order = append(order, p.FormName())
		switch p.FormName() {
		case "meta":
			require.JSONEq(t, `{"sample_id_name":"id","match_id_name":"id2","label_name":"y","na_values":["","NA"],"extend_sid":true}`, b)
		case "file":
			require.Equal(t, csv, b)
		}
	}
	require.Equal(t, []string{"namespace", "name", "meta", "file"}, order)
}

func TestCommandLineMistakes(t *testing.T) {
	key := newKey(t)
	for command, says := range map[string]string{
		"data upload f.csv --namespace demo":                 "--name is missing",
		"data upload f.csv --name t":                         "--namespace is missing",
		"data upload f.csv --name ../t --namespace demo":     "--name \"../t\"",
		"data upload /nonexistent --name t --namespace demo": "no such file",
		"data upload . --name t --namespace demo":            ". is a folder (name one CSV file in it)",
		"site add 10000 --key " + key:                        "--url is missing",
		"site add 10000 --url http://h":                      "--key is missing",
		"site add 10000 --url http://h --key ed25519:x":      "is not a public key",
		"site add ../1 --url http://h --key " + key:          "PARTY",
		"site rotate 10000":                                  "--key is missing",
		"grant add 10000":                                    "--component, --table or --model",
		"grant add 10000 --component psi --limit psi":        "no limit of a parameter",
		"grant add 10000 --component psi --uses -1":          "cannot be used -1 times",
		"grant add 10000 --component psi --until yesterday":  "--until",
		"grant add 10000 --component psi@sha256:12":          "no digest",
		"grant add 10000 --model a/b/c":                      "version of a model",
		"grant add 10000 --limit psi.x>=1":                   "names no component",
		"audit list --job 1 --subject 2":                     "--job and --subject",
		"grant add 10000 --table demo":                       "NAMESPACE/NAME",
		"data show t":                                        "NAMESPACE/NAME",
		"data show demo/t --rows -1":                         "--rows -1",
		"data delete demo/t":                                 "--yes",
		"audit list --since yesterday":                       `--since "yesterday"`,
		"audit list --until 2026-13-01":                      "--until",
		"audit list --limit 0":                               "--limit 0",
		"grant list 1 2":                                     `unexpected argument "2"`,
	} {
		t.Run(command, func(t *testing.T) {
			_, url := newFake(t, nil)
			r := run(t, append(strings.Fields(command), "--node", url)...)
			require.Equal(t, 2, r.code, r.stderr)
			require.Contains(t, r.stderr, says)
		})
	}
}

const aGrant = `{"id":"g-1","kind":"use","initiator":"10000","components":[{"name":"psi"}],"tables":[{"namespace":"demo","name":"t","columns":["id","x"]}]}`

func TestSiteAndGrantBodies(t *testing.T) {
	key := newKey(t)
	f, url := newFake(t, map[string]string{
		"POST /openflow/v1/user/site/add": "null", "POST /openflow/v1/user/site/rotate": "null",
		"POST /openflow/v1/user/grant/add": `{"grants":[` + aGrant + `]}`,
	})
	require.Zero(t, run(t, "site", "add", "10000", "--url", "http://h:1/", "--key", key, "--node", url).code)
	require.JSONEq(t, `{"party_id":"10000","url":"http://h:1","key":"`+key+`"}`, f.got("POST /openflow/v1/user/site/add"))
	for flag, want := range map[string]string{"--unsigned": "true", "--unsigned=false": "false"} {
		require.Zero(t, run(t, "site", "add", "10000", "--url", "http://h:1/", "--key", key, flag, "--node", url).code)
		require.JSONEq(t, `{"party_id":"10000","url":"http://h:1","key":"`+key+`","unsigned":`+want+`}`, f.got("POST /openflow/v1/user/site/add"))
	}
	require.Zero(t, run(t, "site", "rotate", "10000", "--key", key, "--final", "--node", url).code)
	require.JSONEq(t, `{"party_id":"10000","key":"`+key+`","final":true}`, f.got("POST /openflow/v1/user/site/rotate"))
	require.Zero(t, run(t, "grant", "add", "10000", "--initiate", "--schedule", "--component", "psi@acme:1.2.0,lr", "--table", "demo/t:id,x", "--model", "m/0",
		"--partner", "10001", "--limit", "psi.min_intersection>=100", "--uses", "5", "--until", "2027-01-01", "--purpose", "churn study", "--node", url).code)
	const terms = `"purpose":"churn study","partners":["10001"],"uses":5,"until":1798761600000`
	var body struct{ Grants []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(f.got("POST /openflow/v1/user/grant/add")), &body))
	for i, want := range []string{
		`{"kind":"initiate","initiator":"10000",` + terms + `}`, `{"kind":"schedule","scheduler":"10000",` + terms + `}`,
		`{"kind":"use","initiator":"10000",` + terms + `,"components":[{"name":"psi","provider":"acme","version":"1.2.0"},{"name":"lr"}],
			"tables":[{"namespace":"demo","name":"t","columns":["id","x"]}],"models":[{"model_id":"m","model_version":"0"}],
			"limits":[{"component":"psi","parameter":"min_intersection","relation":">=","values":["100"]}]}`,
	} {
		delete(body.Grants[i], "says")
		got, err := json.Marshal(body.Grants[i])
		require.NoError(t, err)
		require.JSONEq(t, want, string(got))
	}
}

func TestSiteKeyPrintsTheKeyAndNothingElse(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	first := run(t, "site", "key", "--home", home)
	require.Zero(t, first.code, first.stderr)
	key, err := trust.ParsePublicKey(strings.TrimSuffix(first.stdout, "\n"))
	require.NoError(t, err)
	require.Equal(t, "its short name is "+key.ID()+"\n", first.stderr, "what messages call it")
	require.Equal(t, first, run(t, "site", "key", "--home", home))
	t.Setenv("OPENFLOW_HOME", home)
	require.Equal(t, first, run(t, "site", "key"))
}

// A table is deleted when somebody says so, and not when nobody does.
func TestDeleteAsks(t *testing.T) {
	const route = "POST /v2/table/delete"
	for answer, deleted := range map[string]bool{"y\n": true, "Yes\n": true, "yes": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		f, url := newFake(t, map[string]string{route: "null"})
		r := runWith(t, answer, "data", "delete", "demo/t", "--node", url)
		require.Equal(t, deleted, r.code == 0, "%q: %s", answer, r.stderr)
		require.Equal(t, deleted, f.got(route) != "", "%q", answer)
		require.Contains(t, r.stderr, "delete table demo/t?")
	}
}

// What data show tells, as a person reads it.
func TestShowTable(t *testing.T) {
	_, url := newFake(t, map[string]string{
		"GET /v2/table/query": `{"namespace":"demo","name":"t","count":2,"data_type":"dataframe","display":[["1",12345678901234567,0.5],["2",8,null]],
			"meta":{"schema_meta":{"fields":[{"property":"sample_id","name":"id","dtype":"index"},{"property":"column","name":"x0","dtype":"float64"}]}}}`,
		"GET /openflow/v1/user/table/uses": `{"parties":["10000","10001"],"jobs":[{"job_id":"j1","role":"guest","status":"running","create_time":1767322800000}]}`,
	})
	r := run(t, "data", "show", "demo/t", "--node", url)
	require.Zero(t, r.code, r.stderr)
	for _, says := range []string{"10000, 10001", "\n\nCOLUMN  TYPE     IS\nid      text     sample id\nx0      float64  feature\n\nFIRST ROWS\nid  x0", "12345678901234567", "j1", "running"} {
		require.Contains(t, r.stdout, says)
	}
	r = run(t, "data", "show", "demo/t", "--rows", "1", "-o", "json", "--node", url)
	require.Len(t, r.document(t).(map[string]any)["first_rows"], 1)
}

// A job has a model where a task has made one, and not before.
func TestShowTellsOfModelsThatWereMade(t *testing.T) {
	answers := ended("success", "")
	_, url := newFake(t, answers)
	require.NotContains(t, run(t, "job", "show", "j1", "--node", url).stdout, "\nmodel ")
	answers[jobRoute] = strings.Replace(answers[jobRoute], `"job_id"`,
		`"models":[{"task_name":"lr_0","output_key":"output_model"}],"job_id"`, 1)
	_, url = newFake(t, answers)
	require.Contains(t, run(t, "job", "show", "j1", "--node", url).stdout, "\nmodel      m version 0: lr_0.output_model\n")
}

// A node that grants everything is said to, wherever grants are shown, and grants that are over are marked.
func TestGrantsThatSayLittle(t *testing.T) {
	const over = `{"id":"g-old","kind":"use","initiator":"10000","components":[{"name":"psi"}],"until":1000},
		{"id":"g-used","kind":"use","initiator":"10000","components":[{"name":"psi"}],"uses":2,"used":2},
		{"id":"g-good","kind":"initiate","initiator":"10000"}`
	for all, about := range map[bool]string{true: `{"grant_all":true}`, false: `{}`} {
		_, url := newFake(t, map[string]string{
			"GET /openflow/v1/user/server/about": about, "GET /openflow/v1/user/grant/list": `{"grants":[` + over + `]}`,
		})
		list := run(t, "grant", "list", "--node", url)
		require.Zero(t, list.code, list.stderr)
		require.Regexp(t, `g-old +expired +Party`, list.stdout)
		require.Regexp(t, `g-used +used up +Party`, list.stdout)
		require.Regexp(t, `g-good +good +Party`, list.stdout)
		require.Equal(t, all, strings.Contains(list.stdout, "every peer may initiate and schedule jobs here"))
		show := run(t, "grant", "show", "10000", "--node", url)
		require.Contains(t, show.stdout, "That is over: it has expired.")
		require.Contains(t, show.stdout, "That is over: it has been used up.")
		require.Equal(t, all, strings.Contains(show.stdout, "Party 10000 may do everything here but use models of others: this node was started with --grant-all"))
		require.Equal(t, !all, strings.Contains(show.stdout, "may not schedule jobs here"))
	}
}

// A value of a flag that is none is refused in plain words, whatever its kind.
func TestValuesThatAreNone(t *testing.T) {
	for command, says := range map[string]string{
		"site limit 10000 --cores x":                              `--cores "x" is not a whole number`,
		"grant add 10000 --component psi --uses many":             `--uses "many" is not a whole number`,
		"audit list --limit 1.5":                                  `--limit "1.5" is not a whole number`,
		"audit list --refused=maybe":                              `--refused "maybe" is not true or false`,
		"grant add 10000 --component psi --until 2020-01-01":      "--until 2020-01-01 is over",
		"grant add 10000 --initiate --until 2020-01-01T00:00:00Z": "is over: such a grant allows nothing",
	} {
		got := run(t, strings.Fields(command)...)
		require.Equal(t, 2, got.code, command)
		require.Contains(t, got.stderr, says)
		require.NotContains(t, got.stderr, "strconv")
	}
}
