package scenarios_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"openflow"
	"openflow/components/evaluation"
	"openflow/components/lr"
	"openflow/components/psi"
	"openflow/components/reader"
	"openflow/sdk"
	"openflow/sdk/component"
	"openflow/tests/env"
	"openflow/workflows"
)

// What is marked in the tables of the host: ids that nobody else has, a column name and a cell.
const (
	secretID     = "marked-id-13800138000"
	secretColumn = "marked-salary-band"
	secretCell   = "81264.7353"
)

var secrets = []string{secretID, secretColumn, secretCell}

// tellTales are the algorithms that this test program has as a components binary: ours, and three of other authors that
// quote their input at the host. The guest waits for a message that never comes.
func tellTales() []component.Component {
	quoting := func(name string, fail func(ctx context.Context, t *component.Task, text string) error) component.Component {
		return component.Component{
			Name: name, Roles: []openflow.Role{openflow.RoleGuest, openflow.RoleHost}, Inputs: []component.Artifact{{Key: "input_data"}},
			Run: func(ctx context.Context, t *component.Task) error {
				if t.Role() == openflow.RoleGuest {
					_, err := t.Receive(ctx, t.PartiesOf(openflow.RoleHost)[0], "result")
					return err
				}
				f, err := t.Frame(ctx, "input_data")
				if err != nil {
					return err
				}
				return fail(ctx, t, fmt.Sprintf("row of %s: %s is %v", f.MatchID[0], f.Schema.Features[0].Name, f.Features[0].Floats[0]))
			},
		}
	}
	return []component.Component{
		reader.Component(), psi.Component(), lr.Component(), evaluation.Component(),
		quoting("plain", func(_ context.Context, _ *component.Task, text string) error {
			return fmt.Errorf("cannot go on: %s", text)
		}),
		quoting("panicking", func(_ context.Context, _ *component.Task, text string) error { panic(text) }),
		quoting("legacy", func(ctx context.Context, _ *component.Task, text string) error { return reportAsFATE(ctx, text) }),
	}
}

// reportAsFATE ends this program as a container that knows nothing of what is private: it reports the error alone.
func reportAsFATE(ctx context.Context, text string) error {
	var config struct {
		Execution string `json:"party_task_id"`
		MLMD      struct {
			Metadata struct {
				Host     string      `json:"host"`
				Port     json.Number `json:"port"`
				Protocol string      `json:"protocol"`
			} `json:"metadata"`
		} `json:"mlmd"`
	}
	if err := json.Unmarshal([]byte(os.Getenv("CONFIG")), &config); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"execution_id": config.Execution, "status": "failed", "error": text})
	if err != nil {
		return err
	}
	at := config.MLMD.Metadata
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at.Protocol+"://"+at.Host+":"+at.Port.String()+"/v2/worker/task/status", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+os.Getenv("OPENFLOW_CREDENTIAL"))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil {
		return err
	}
	os.Exit(1)
	return nil
}

// hostRows is a table of the host, in which the rows 0…n−1 have the ids of the guest.
func hostRows(n int, extra string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "id,%s\n", secretColumn)
	fmt.Fprintf(&b, "%s,%s\n", secretID, secretCell)
	for i := range n {
		fmt.Fprintf(&b, "common-%d,%d.5\n", i, i)
	}
	return b.String() + extra
}

// The failures of one party say nothing of its data to the others, in any place that they can look into.
func TestFailuresTellOthersNothing(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	t.Setenv("OPENFLOW_COMPONENTS", exe)
	collectors := map[string]*spans{"9999": {}, "10000": {}, "10001": {}}
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"),
		env.Spans(func(id string) sdktrace.SpanExporter { return collectors[id] }))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	var rows strings.Builder
	rows.WriteString("id,y,x0\n")
	for i := range 40 {
		fmt.Fprintf(&rows, "common-%d,%d,%d.25\n", i, i%2, i)
	}
	guest.OK(guest.Upload("credit", "guest", guestMeta, strings.NewReader(rows.String())), nil)
	for name, table := range map[string]string{
		"whole": hostRows(40, ""), "gap": hostRows(39, "common-39,nan\n"), "alien": hostRows(0, ""),
	} {
		host.OK(host.Upload("credit", name, hostMeta, strings.NewReader(table)), nil)
	}

	parties := env.Parties("guest 9999", "host 10000", "arbiter 10001")
	job := func(table, component string) *openflow.DAG {
		d := creditDAG()
		d.PartyTasks[1] = env.At(parties[1], "reader_0", openflow.Parameters{"namespace": "credit", "name": table})
		if component == "" {
			return d
		}
		d.Tasks = append(d.Tasks[:1], openflow.Task{Name: "own_0", Component: component, Parties: parties[:2], Stage: openflow.StageDefault,
			Inputs: []openflow.Input{from("input_data", "reader_0", "output_data", parties[:2]...)}})
		d.Parties = d.Parties[:2]
		return d
	}
	polled := job("whole", "plain")
	polled.Conf.SyncType = openflow.Poll
	others := map[string]map[string][]byte{"9999": {}, "10001": {}} // party → place → what is there
	for name, tc := range map[string]struct {
		dag   *openflow.DAG
		task  string
		blame string   // of the job's reason, at every party
		own   []string // what the host's own users read of their run
		at    string   // who submits and schedules
	}{
		"a cell without a value":         {job("gap", ""), "lr_0", `task "lr_0" failed at party 10000 (host): component coordinated_lr refused`, []string{secretColumn}, "9999"},
		"nothing in common":              {job("alien", ""), "psi_0", "the parties have no id in common", []string{"no id in common"}, "9999"},
		"a plain error":                  {job("whole", "plain"), "own_0", `task "own_0" failed at party 10000 (host): component plain failed (internal); users`, secrets, "9999"},
		"a plain error, polled":          {polled, "own_0", `task "own_0" failed at party 10000 (host): component plain failed (internal); users`, secrets, "9999"},
		"a plain error at the scheduler": {job("whole", "plain"), "own_0", `task "own_0" failed at party 10000 (host): component plain failed (internal); users`, secrets, "10000"},
		"a panic":                        {job("whole", "panicking"), "own_0", `component panicking failed (internal): the component panicked; users`, secrets, "9999"},
		"a container of FATE":            {job("whole", "legacy"), "own_0", `task "own_0" failed at party 10000 (host): component legacy failed (rejected); users`, secrets, "9999"},
	} {
		id := e.As(t, tc.at).Submit(tc.dag)
		for _, p := range tc.dag.Parties {
			c := e.As(t, string(p.ID))
			c.WaitFor(id, openflow.JobFailed)
			env.WaitUntil(t, env.Patience, fmt.Sprintf("%s: %s blames the host", name, p), func() (bool, string) {
				reason := c.Jobs(id)[0].Reason // on a slow machine the cause is told after the end
				return strings.Contains(reason, tc.blame), reason
			})
			c.Settled(id)
		}
		for _, run := range host.Tasks(id) {
			if run.TaskName == tc.task {
				for _, s := range tc.own {
					require.Contains(t, run.ErrorReport, s, "%s, for the host's own users", name)
				}
			}
		}
		for party, seen := range others {
			look(t, e, party, name, id, tc.at, tc.dag, seen)
		}
	}
	e.NoContainers(t)
	e.Stop(t, e.Parties...)
	for party, seen := range others {
		seen["log"] = []byte(e.Log(party))
		seen["spans"] = []byte(spansText(collectors[party]))
		for file, content := range files(t, e.Home(party)) {
			seen[file] = content
		}
		require.Greater(t, len(seen), 20, "there is something to look into")
		for place, content := range seen {
			for _, s := range secrets {
				require.False(t, bytes.Contains(content, []byte(s)), "%s of party %s holds %s of the host", place, party, s)
			}
		}
	}
	var own []byte
	for _, content := range files(t, e.Home("10000")) {
		own = append(own, content...)
	}
	for _, s := range secrets {
		require.True(t, bytes.Contains(own, []byte(s)), "the search finds %s where it is", s)
	}
}

// look notes what a party's users and operator can ask their node about a job.
func look(t *testing.T, e *env.Env, party, name string, id openflow.JobID, scheduler string, d *openflow.DAG, seen map[string][]byte) {
	c := e.As(t, party)
	for _, path := range []string{"/v2/job/query", "/v2/job/task/query"} {
		answer, err := json.Marshal(c.Get(path, "job_id", string(id)))
		require.NoError(t, err)
		seen[name+" "+path] = answer
	}
	client := &sdk.Client{URL: e.Node(t, party).URL()}
	if changes, err := changesOf(t.Context(), client, id); err == nil { // a party that takes no part has none
		text, err := json.Marshal(changes)
		require.NoError(t, err)
		seen[name+" events"] = text
	}
	ids := []string{workflows.JobWorkflowID(id)}
	for _, task := range d.Tasks {
		for _, p := range d.PartiesOf(task) {
			if string(p.ID) == party {
				k := openflow.TaskKey{Scheduler: openflow.PartyID(scheduler), Job: id, Task: task.Name, Party: p}
				ids = append(ids, workflows.TaskWorkflowID(k))
				seen[fmt.Sprintf("%s log of %s", name, k)] = []byte(c.TaskLog(env.Run(id, string(p.Role), party, string(task.Name))))
			}
		}
	}
	for _, workflow := range ids {
		history, err := e.Node(t, party).History(t.Context(), workflow)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			continue // it is another party's, or was never started
		}
		require.NoError(t, err)
		seen[name+" history of "+workflow] = history
	}
}

func spansText(s *spans) string {
	var b strings.Builder
	for _, span := range s.list {
		fmt.Fprintln(&b, span.Name(), span.Attributes(), span.Status(), span.Events(), span.Resource())
	}
	return b.String()
}

// files are all that a node keeps: its databases, objects, messages and what remains of its containers.
func files(t *testing.T, home string) map[string][]byte {
	found := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		found[path], err = os.ReadFile(path)
		return err
	}))
	return found
}
