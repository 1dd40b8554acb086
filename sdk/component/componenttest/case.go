package componenttest

import (
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

// Case is one task: a component, its parties, and what each of them is given.
type Case struct {
	Component  component.Component
	Main       Main // runs instead of the component, as a program of another kit does; nil: the component
	Parties    []openflow.Party
	Stage      openflow.Stage                    // empty: default
	Parameters map[string]any                    // of all parties
	Override   map[openflow.Party]map[string]any // replaces single parameters of a party
	Inputs     map[openflow.Party]Inputs
	Policies   map[openflow.Party]openflow.Policy // of a party's site; none: the default
	Scores     map[openflow.Party]ScoreLedger     // what the site of a party has told before; none: nothing
	Protocol   openflow.Protocol                  // that the parties' nodes have agreed on; zero: they have not
	Cores      int                                // per party; 0: 1
	Faults     []Fault                            // injected by the node
	Strays     []Stray                            // are there before the task begins
	Timeout    time.Duration                      // of the whole run; 0: one minute
	Patience   time.Duration                      // OPENFLOW_PATIENCE of the kit; 0: its default
}

// Main is a program that runs a task by what a node tells its container, and gives the exit code.
type Main func(ctx context.Context, env func(string) string, log io.Writer) int

// ScoreLedger is what a site has told each partner of its tables, in vectors of scores, and the limits that its
// operator has raised; see component.Task.SpendScores.
type ScoreLedger struct {
	Told   map[openflow.PartyID]int
	Raised map[openflow.PartyID]int
}

// Inputs is what one party is given, by input key.
type Inputs struct {
	Data   map[string]*tables.Frame
	Multi  map[string][]Produced // for inputs with several tables
	Models map[string]any        // encoded as JSON

	Objects map[string]Object // data inputs of another type
	File    string            // content of the file that an upload names; empty: there is none

	Unwritten       []string // data inputs that the job fills from a task which has written nothing
	UnwrittenModels []string // model inputs, likewise
}

// Produced is a table with the name of the task that made it.
type Produced struct {
	Task  openflow.TaskName
	Table *tables.Frame
}

// Object is a table of another type than a dataframe, as a node keeps it.
type Object struct {
	Type    component.ArtifactType
	Meta    string // JSON
	Content string
}

// Result is how a task ended at its parties.
type Result struct {
	t       testing.TB
	node    *Node
	Parties map[openflow.Party]*PartyResult
}

// PartyResult is how a task ended at one party.
type PartyResult struct {
	ExitCode int
	Status   openflow.TaskStatus      // as reported; empty when nothing was
	Error    string                   // as reported, for the party's own users
	Cause    openflow.Cause           // and for the other parties
	Log      string                   // what the task has written
	Warnings []string                 // in the order of their arrival
	Metrics  []Metric                 // in the order of their arrival
	Scores   map[openflow.PartyID]int // vectors of scores that the run was allowed to tell, by receiver
	Files    map[string]string        // that a download has written, by name
}

// Metric is one record as the node got it.
type Metric struct {
	Name     string            `json:"name"`
	Type     *string           `json:"type"`
	Groups   []component.Group `json:"groups"`
	StepAxis *string           `json:"step_axis"`
	Data     json.RawMessage   `json:"data"`
}

// Run runs the task at all parties at once and waits for all of them.
func Run(t testing.TB, c Case) *Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), orElse(c.Timeout, time.Minute))
	defer cancel()
	node := NewNode(t, c.Faults...)
	return node.Start(ctx, c).Wait()
}

// RunOK is Run, and fails the test unless the task succeeded everywhere.
func RunOK(t testing.TB, c Case) *Result {
	t.Helper()
	r := Run(t, c)
	for _, p := range c.Parties {
		if got := r.Parties[p]; got.ExitCode != component.ExitSuccess || got.Status != openflow.TaskSuccess {
			t.Fatalf("%s ended with exit code %d, status %q: %s", p, got.ExitCode, got.Status, got.Error)
		}
	}
	return r
}

// Table is the table that party wrote as output key; the test fails when it wrote none.
func (r *Result) Table(party openflow.Party, key string) *tables.Frame {
	r.t.Helper()
	f, err := r.node.output(party, key, 0)
	if err != nil {
		r.t.Fatalf("output %q of %s: %v", key, party, err)
	}
	return f
}

// Tables lists the tables that party wrote as output key, in their order; it may be empty.
func (r *Result) Tables(party openflow.Party, key string) []*tables.Frame {
	r.t.Helper()
	var list []*tables.Frame
	for i := 0; r.node.hasOutput(party, key, i); i++ {
		f, err := r.node.output(party, key, i)
		if err != nil {
			r.t.Fatalf("output %q of %s: %v", key, party, err)
		}
		list = append(list, f)
	}
	return list
}

// Object is what a party has written as an output, as the node keeps it.
func (r *Result) Object(party openflow.Party, key string) Object {
	r.t.Helper()
	o, ok := r.node.object(party, key)
	if !ok {
		r.t.Fatalf("output %q of %s was not written", key, party)
	}
	return o
}

// Output is what the node recorded of output key of party: the body of data/tracking/save. Nil when there is none.
func (r *Result) Output(party openflow.Party, key string) map[string]any {
	return r.node.tracking(party, key)
}

// HasModel reports whether party saved a model as output key.
func (r *Result) HasModel(party openflow.Party, key string) bool {
	return r.node.model(party, key) != nil
}

// Model decodes the model that party saved as output key; the test fails when it saved none.
func (r *Result) Model(party openflow.Party, key string, into any) {
	r.t.Helper()
	raw, err := modelJSON(r.node.model(party, key))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		r.t.Fatalf("model %q of %s: %v", key, party, err)
	}
}

// MetricsNamed lists the records of that name at party.
func (r *Result) MetricsNamed(party openflow.Party, name string) []Metric {
	var list []Metric
	for _, m := range r.Parties[party].Metrics {
		if m.Name == name {
			list = append(list, m)
		}
	}
	return list
}

// Messages lists every message that passed the node, in the order of arrival, without repeats.
func (r *Result) Messages() []Message { return r.node.Messages() }

// Requests tells how many requests of that path arrived, the ones that went wrong included.
func (r *Result) Requests(path string) int { return r.node.Requests(path) }

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
