// Package toy is the component toy_example: two parties exchange the ids of a few rows, so that people see whether their nodes
// run jobs together.
//
// It reads no data. FATE's command "flow test toy" submits it. Start at [Component].
package toy

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

type params struct {
	DataNum   int `json:"data_num"  required:"true" gt:"0" max:"1000000" alike:"true" doc:"how many rows each party makes"`
	Partition int `json:"partition" required:"true" gt:"0" max:"1000000" doc:"has no effect here: FATE splits its rows into so many parts"`
}

const (
	outputKey = "output_data"
	modelKey  = "json_model_output"
	askTag    = "guest_index"
	replyTag  = "host_index"
)

// Component is the toy example.
//
// Spec: fate-components §7.2.
func Component() component.Component {
	return component.Component{
		Name:        "toy_example",
		Description: "makes a few rows at each party and compares their ids, to try whether the parties can run a job together",
		Roles:       []openflow.Role{openflow.RoleGuest, openflow.RoleHost},
		Parameters:  params{},
		Outputs:     []component.Artifact{{Key: outputKey}, {Key: modelKey, Type: component.JSONModel}},
		Needs:       []component.Need{{Role: openflow.RoleGuest, Min: 1, Max: 1}, {Role: openflow.RoleHost, Min: 1}},
		Protocols:   []openflow.Protocol{{Name: "openflow/toy", Version: "1"}},
		Run:         run,
	}
}

func run(ctx context.Context, t *component.Task) error {
	var p params
	if err := t.Parameters(&p); err != nil {
		return err
	}
	guests, hosts := t.PartiesOf(openflow.RoleGuest), t.PartiesOf(openflow.RoleHost)
	if len(guests) != 1 || len(hosts) == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "%s has %d guests and %d hosts; toy_example needs one guest and at least one host",
			t.Key(), len(guests), len(hosts)).WithPublic("toy_example needs one guest and at least one host")
	}
	began := time.Now()
	ids := index(p.DataNum)
	talk := answerGuest
	if t.Role() == openflow.RoleGuest {
		talk = askHosts
	}
	if err := talk(ctx, t, ids); err != nil {
		return err
	}
	if err := t.SaveTable(ctx, outputKey, frame(ids)); err != nil {
		return err
	}
	if err := t.SaveModel(ctx, modelKey, map[string]openflow.Role{"test_role": t.Role()}); err != nil {
		return err
	}
	t.Log().Info("toy_example succeeded: the parties have the same rows", "rows", len(ids), "parties", len(t.Parties()), "seconds", time.Since(began).Seconds())
	return nil
}

// index is the ids that each party makes, in order.
func index(rows int) []string {
	ids := make([]string, rows)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	return ids
}

// frame is a table with these ids, each with its number.
func frame(ids []string) *tables.Frame {
	numbers := make([]float64, len(ids))
	for i := range numbers {
		numbers[i] = float64(i)
	}
	return &tables.Frame{
		Schema:   tables.Schema{SampleID: "sample_id", MatchID: "match_id", Features: []tables.Column{{Name: "x0", DType: tables.Float64}}},
		SampleID: ids, MatchID: slices.Clone(ids), Features: []tables.Vector{tables.NewFloats(tables.Float64, numbers)},
	}
}

// askHosts sends the guest's ids to every host, and wants them back.
func askHosts(ctx context.Context, t *component.Task, ids []string) error {
	hosts, sent := t.PartiesOf(openflow.RoleHost), packed(ids)
	for _, host := range hosts {
		if err := t.Send(ctx, host, askTag, sent); err != nil {
			return err
		}
	}
	for _, host := range hosts {
		if err := same(ctx, t, host, replyTag, sent); err != nil {
			return err
		}
	}
	return nil
}

// answerGuest compares the guest's ids with those of this host, and sends them back.
func answerGuest(ctx context.Context, t *component.Task, ids []string) error {
	guest, mine := t.PartiesOf(openflow.RoleGuest)[0], packed(ids)
	if err := same(ctx, t, guest, askTag, mine); err != nil {
		return err
	}
	return t.Send(ctx, guest, replyTag, mine)
}

// packed is ids as one message.
func packed(ids []string) []byte {
	var b bytes.Buffer
	for _, id := range ids {
		b.WriteString(id)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// same receives ids, which are to be those that this party has made.
func same(ctx context.Context, t *component.Task, from openflow.Party, tag string, mine []byte) error {
	theirs, err := t.ReceiveUpTo(ctx, from, tag, len(mine))
	if err != nil {
		return err
	}
	if !bytes.Equal(theirs, mine) {
		return openflow.Errorf(openflow.CodeInvalid, "the ids of %s are not the %d that toy_example makes", from, bytes.Count(mine, []byte{'\n'})).
			WithPublic("toy_example has made other ids at another party").WithHint("give data_num the same value at all parties")
	}
	return nil
}
