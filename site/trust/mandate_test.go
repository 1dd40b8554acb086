package trust_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
)

// sites are the records of one node's peers.
type sites map[openflow.PartyID]openflow.SiteRecord

func (s sites) Site(_ context.Context, id openflow.PartyID) (openflow.SiteRecord, error) {
	r, ok := s[id]
	if !ok {
		return r, openflow.Errorf(openflow.CodeNotFound, "site %s is not known here", id)
	}
	return r, nil
}

var mandateTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// consortium are three nodes that know each other: 9999 submits to 10000, which schedules, and 10001 has the data.
type consortium struct {
	keys  map[openflow.PartyID]trust.Key
	sites map[openflow.PartyID]sites
}

func newConsortium(tb testing.TB) *consortium {
	c := &consortium{map[openflow.PartyID]trust.Key{}, map[openflow.PartyID]sites{}}
	ids := []openflow.PartyID{"9999", "10000", "10001"}
	for _, id := range ids {
		c.keys[id], c.sites[id] = newKey(tb), sites{}
	}
	for _, id := range ids {
		for _, peer := range ids {
			if peer != id {
				c.sites[id][peer] = openflow.SiteRecord{Party: peer, Keys: []string{c.keys[peer].Public().String()}}
			}
		}
	}
	return c
}

func (c *consortium) at(id openflow.PartyID) trust.Mandates {
	return trust.Mandates{Self: id, Key: c.keys[id], Sites: c.sites[id], Now: func() time.Time { return mandateTime }}
}

func jobDAG() *openflow.DAG {
	party := func(r openflow.Role, id openflow.PartyID) openflow.Party { return openflow.Party{Role: r, ID: id} }
	guest, host, arbiter := party(openflow.RoleGuest, "9999"), party(openflow.RoleHost, "10001"), party(openflow.RoleArbiter, "10000")
	table := func(name string) map[openflow.TaskName]openflow.TaskOverride {
		return map[openflow.TaskName]openflow.TaskOverride{"reader": {Parameters: openflow.Parameters{"namespace": "n", "name": name}}}
	}
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host, arbiter},
		Conf: openflow.JobConf{Initiator: "9999", Scheduler: "10000", Purpose: "credit scoring"}.Filled("1"),
		Tasks: []openflow.Task{
			{Name: "reader", Component: "reader", Parties: []openflow.Party{guest, host}},
			{Name: "psi", Component: "psi", DependsOn: []openflow.TaskName{"reader"}, Parameters: openflow.Parameters{"least": json.Number("100")}},
		},
		PartyTasks: []openflow.PartyTasks{
			{Site: "guest", Parties: []openflow.Party{guest}, Tasks: table("mine")},
			{Site: "host", Parties: []openflow.Party{host}, Tasks: table("yours")},
			{Site: "both", Parties: []openflow.Party{guest, host}, Conf: openflow.TaskConf{Label: "fast"}},
		},
	}
}

// order is what an honest scheduler sends to one party of a job.
func order(d *openflow.DAG, m *openflow.Mandate, p openflow.Party) openflow.JobOrder {
	return openflow.JobOrder{
		Key: openflow.JobKey{Scheduler: "10000", Job: "1", Party: p}, DAG: d.StrippedFor(p.ID), UserName: "ann", Mandate: m.For(p.ID),
	}
}

func (c *consortium) give(tb testing.TB, d *openflow.DAG) *openflow.Mandate {
	tb.Helper()
	m, err := c.at("9999").Give(d, "1", "ann")
	require.NoError(tb, err)
	return m
}

// What the initiator has signed is taken by its scheduler and by each party, the initiator's own node too, with the salt of its own
// part only.
func TestMandate(t *testing.T) {
	c, d := newConsortium(t), jobDAG()
	m := c.give(t, d)
	a, err := c.at("10000").OfSubmission(t.Context(), "9999", openflow.Submission{DAG: d, ID: "1", UserName: "ann", Mandate: m})
	require.NoError(t, err)
	want := openflow.Authority{Initiator: "9999", Scheduler: "10000", Purpose: "credit scoring", Signed: true}
	require.Equal(t, want, a)
	for _, p := range d.Parties {
		o := order(d, m, p)
		require.Equal(t, m.Text, o.Mandate.Text)
		require.NotEqual(t, m.Salt, o.Mandate.Salt)
		a, err := c.at(p.ID).OfOrder(t.Context(), o)
		require.NoError(t, err, p)
		require.Equal(t, want, a)
	}
	require.NotEqual(t, c.give(t, d).Text, m.Text, "the same part has another hash in each mandate")
	require.NotContains(t, string(m.Text), "yours")
}

// A scheduler that changes one thing is refused by the party whose data it is.
func TestMandateDoesNotCover(t *testing.T) {
	c := newConsortium(t)
	host := jobDAG().Parties[1]
	changed := map[string]struct {
		change func(o *openflow.JobOrder)
		code   openflow.Code
		says   string
	}{
		"a parameter of all": {func(o *openflow.JobOrder) { o.DAG.Tasks[1].Parameters["least"] = json.Number("1") }, openflow.CodePermission, "what all parties may read"},
		"a component":        {func(o *openflow.JobOrder) { o.DAG.Tasks[1].Component = "reader" }, openflow.CodePermission, "what all parties may read"},
		"a further party": {func(o *openflow.JobOrder) {
			o.DAG.Parties = append(o.DAG.Parties, openflow.Party{Role: openflow.RoleHost, ID: "666"})
		}, openflow.CodePermission, "what all parties may read"},
		"the schema":             {func(o *openflow.JobOrder) { o.DAG.SchemaVersion = "2.1.0" }, openflow.CodePermission, "what all parties may read"},
		"the stage":              {func(o *openflow.JobOrder) { o.DAG.Stage = openflow.StagePredict }, openflow.CodePermission, "what all parties may read"},
		"a table of the part":    {func(o *openflow.JobOrder) { o.DAG.PartyTasks[0].Tasks["reader"].Parameters["name"] = "secret" }, openflow.CodePermission, "the part of party 10001"},
		"a part that is more":    {func(o *openflow.JobOrder) { o.DAG.PartyTasks = append(o.DAG.PartyTasks, o.DAG.PartyTasks[0]) }, openflow.CodePermission, "the part of party 10001"},
		"a part that is less":    {func(o *openflow.JobOrder) { o.DAG.PartyTasks = o.DAG.PartyTasks[:1] }, openflow.CodePermission, "the part of party 10001"},
		"the order of a part":    {func(o *openflow.JobOrder) { slices.Reverse(o.DAG.PartyTasks) }, openflow.CodePermission, "the part of party 10001"},
		"whose part it is":       {func(o *openflow.JobOrder) { o.DAG.PartyTasks[0].Parties[0].Role = openflow.RoleGuest }, openflow.CodePermission, "the part of party 10001"},
		"another party's part":   {func(o *openflow.JobOrder) { o.DAG.PartyTasks = jobDAG().StrippedFor("9999").PartyTasks }, openflow.CodePermission, "the part of party 10001"},
		"another party's salt":   {func(o *openflow.JobOrder) { o.Mandate.Salt = c.give(t, jobDAG()).For("9999").Salt }, openflow.CodePermission, "the part of party 10001"},
		"a party without part":   {func(o *openflow.JobOrder) { o.Key.Party.ID = "10002" }, openflow.CodePermission, "the part of party 10002"},
		"another job":            {func(o *openflow.JobOrder) { o.Key.Job = "2" }, openflow.CodePermission, "and not job 2"},
		"another scheduler":      {func(o *openflow.JobOrder) { o.Key.Scheduler = "9999" }, openflow.CodePermission, "a job that party 9999 schedules"},
		"another initiator":      {func(o *openflow.JobOrder) { o.DAG.Conf.Initiator = "10000" }, openflow.CodeUnauthorized, "is not signed by party 10000"},
		"an unknown initiator":   {func(o *openflow.JobOrder) { o.DAG.Conf.Initiator = "666" }, openflow.CodePermission, "exchange keys once with party 666"},
		"no initiator":           {func(o *openflow.JobOrder) { o.DAG.Conf.Initiator = "" }, openflow.CodeUnauthorized, "is not signed by party 10000"},
		"this site as initiator": {func(o *openflow.JobOrder) { o.DAG.Conf.Initiator = "10001" }, openflow.CodeUnauthorized, "is not signed by party 10001"},
		"the purpose":            {func(o *openflow.JobOrder) { o.DAG.Conf.Purpose = "marketing" }, openflow.CodePermission, "its purpose"},
		"the user":               {func(o *openflow.JobOrder) { o.UserName = "bob" }, openflow.CodePermission, "the name of its user"},
		"the text": {func(o *openflow.JobOrder) {
			o.Mandate.Text = bytes.Replace(o.Mandate.Text, []byte("9999"), []byte("9998"), 1)
		}, openflow.CodeUnauthorized, "is not signed"},
		"the signature": {func(o *openflow.JobOrder) { o.Mandate.Signature = make([]byte, 64) }, openflow.CodeUnauthorized, "is not signed"},
		"no mandate":    {func(o *openflow.JobOrder) { o.Mandate = nil }, openflow.CodePermission, "openflow site add 10000 --url URL --key KEY --unsigned"},
		"signed by the scheduler": {func(o *openflow.JobOrder) {
			own := c.at("10000")
			own.Self = "9999" // in its name, with a key of its own
			forged, err := own.Give(jobDAG(), "1", "ann")
			require.NoError(t, err)
			o.Mandate = forged.For("10001")
		}, openflow.CodeUnauthorized, "is not signed by party 9999"},
		"the scheduler's own word": {func(o *openflow.JobOrder) {
			own, err := c.at("10000").Give(jobDAG(), "1", "ann") // signed well, and of no job of 9999
			require.NoError(t, err)
			o.Mandate = own.For("10001")
		}, openflow.CodeUnauthorized, "is not signed by party 9999"},
		"one of an earlier job": {func(o *openflow.JobOrder) {
			earlier, err := c.at("9999").Give(jobDAG(), "0", "ann")
			require.NoError(t, err)
			o.Mandate = earlier.For("10001")
		}, openflow.CodePermission, "and not job 1"},
	}
	for conf, change := range map[string]func(*openflow.JobConf){
		"priority":   func(c *openflow.JobConf) { c.Priority = 9 },
		"cores":      func(c *openflow.JobConf) { c.Cores = new(1) },
		"memory":     func(c *openflow.JobConf) { c.Memory = new(int64(1)) },
		"GPUs":       func(c *openflow.JobConf) { c.GPUs = new(1) },
		"partitions": func(c *openflow.JobConf) { c.ComputingPartitions = 9 },
		"way":        func(c *openflow.JobConf) { c.SyncType = openflow.Poll },
		"retries":    func(c *openflow.JobConf) { c.AutoRetries = 9 },
		"timeout":    func(c *openflow.JobConf) { c.Timeout = time.Hour },
		"model":      func(c *openflow.JobConf) { c.ModelID = "other" },
		"version":    func(c *openflow.JobConf) { c.ModelVersion = "7" },
		"warehouse":  func(c *openflow.JobConf) { c.ModelWarehouse = &openflow.ModelRef{ID: "m", Version: "0"} },
		"inherits":   func(c *openflow.JobConf) { c.Inheritance = &openflow.Inheritance{Job: "0"} },
		"tasks":      func(c *openflow.JobConf) { c.Task.Provider = "acme:1@local" },
		"extra":      func(c *openflow.JobConf) { c.Extra = map[string]any{"a": true} },
	} {
		row := changed["a component"]
		row.change = func(o *openflow.JobOrder) { change(&o.DAG.Conf) }
		changed["conf: "+conf] = row
	}
	for name, tc := range changed {
		t.Run(name, func(t *testing.T) {
			d := jobDAG()
			o := order(d, c.give(t, d), host)
			tc.change(&o)
			a, err := c.at("10001").OfOrder(t.Context(), o)
			requireCode(t, tc.code, err)
			require.ErrorContains(t, err, tc.says)
			require.NotEmpty(t, err.(*openflow.Error).Hint, "the operator reads what to do") //nolint:errorlint // this site's own
			require.False(t, a.Signed && o.Mandate != nil)
		})
	}
}

// A scheduler takes of a peer that peer's own jobs only, signed for it.
func TestMandateOfASubmission(t *testing.T) {
	c := newConsortium(t)
	for name, tc := range map[string]struct {
		change func(s *openflow.Submission)
		code   openflow.Code
		says   string
	}{
		"a parameter":      {func(s *openflow.Submission) { s.DAG.Tasks[1].Parameters["least"] = json.Number("1") }, openflow.CodePermission, "the job that came with it"},
		"a party's part":   {func(s *openflow.Submission) { s.DAG.PartyTasks[1].Tasks["reader"].Parameters["name"] = "x" }, openflow.CodePermission, "the job that came with it"},
		"the salt":         {func(s *openflow.Submission) { s.Mandate.Salt = make([]byte, 32) }, openflow.CodePermission, "the job that came with it"},
		"another job":      {func(s *openflow.Submission) { s.ID = "2" }, openflow.CodePermission, "and not job 2"},
		"another user":     {func(s *openflow.Submission) { s.UserName = "bob" }, openflow.CodePermission, "the name of its user"},
		"somebody else's":  {func(s *openflow.Submission) { s.Initiator = "10001" }, openflow.CodeUnauthorized, "is not signed by party 10001"},
		"of a stranger":    {func(s *openflow.Submission) { s.Initiator = "666" }, openflow.CodePermission, "party 666, which is not known at party 10000"},
		"without one":      {func(s *openflow.Submission) { s.Mandate = nil }, openflow.CodePermission, "without the mandate of its initiator"},
		"a text too large": {func(s *openflow.Submission) { s.Mandate.Text = make([]byte, openflow.MaxMandate+1) }, openflow.CodeUnauthorized, "is not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			d := jobDAG()
			sub := openflow.Submission{DAG: d, ID: "1", UserName: "ann", Initiator: "9999", Mandate: c.give(t, d)}
			tc.change(&sub)
			_, err := c.at("10000").OfSubmission(t.Context(), sub.Initiator, sub)
			requireCode(t, tc.code, err)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

// While keys change, either of those in this site's own record proves the initiator, and none else.
func TestMandateWhileKeysChange(t *testing.T) {
	c, d := newConsortium(t), jobDAG()
	host := d.Parties[1]
	o := order(d, c.give(t, d), host)
	next := newKey(t).Public().String()
	record := c.sites["10001"]["9999"]
	for name, tc := range map[string]struct {
		keys []string
		code openflow.Code
	}{
		"the present one": {record.Keys, ""}, "a next one too": {append([]string{next}, record.Keys...), ""},
		"the next one only": {[]string{next}, openflow.CodeUnauthorized}, "none": {nil, openflow.CodeUnauthorized},
	} {
		r := record
		r.Keys = tc.keys
		c.sites["10001"]["9999"] = r
		_, err := c.at("10001").OfOrder(t.Context(), o)
		require.Equal(t, tc.code, openflow.CodeOf(err), name)
	}
}

// A mandate has its time, which clocks that are apart do not shorten.
func TestTimeOfAMandate(t *testing.T) {
	c, d := newConsortium(t), jobDAG()
	o := order(d, c.give(t, d), d.Parties[1])
	for after, code := range map[time.Duration]openflow.Code{
		-trust.Window: "", -trust.Window - time.Second: openflow.CodePermission, 0: "", openflow.MandateLife: "",
		openflow.MandateLife + trust.Window: "", openflow.MandateLife + trust.Window + time.Second: openflow.CodePermission,
	} {
		m := c.at("10001")
		m.Now = func() time.Time { return mandateTime.Add(after) }
		_, err := m.OfOrder(t.Context(), o)
		require.Equal(t, code, openflow.CodeOf(err), "%s: %v", after, err)
	}
}

// A site takes unsigned jobs of a peer whose record says so. They prove no initiator but the scheduler itself.
func TestUnsignedJobs(t *testing.T) {
	c, d := newConsortium(t), jobDAG()
	host := d.Parties[1]
	plain := func(initiator openflow.PartyID) openflow.JobOrder {
		o := order(d, nil, host)
		o.DAG.Conf.Initiator = initiator
		return o
	}
	record := c.sites["10001"]["10000"]
	record.Unsigned = true
	c.sites["10001"]["10000"] = record
	for initiator, signed := range map[openflow.PartyID]bool{"9999": false, "666": false, "10001": false, "10000": true, "": true} {
		a, err := c.at("10001").OfOrder(t.Context(), plain(initiator))
		require.NoError(t, err)
		require.Equal(t, signed, a.Signed, initiator)
	}
	o := plain("10000")
	o.Key.Scheduler = "9999"
	_, err := c.at("10001").OfOrder(t.Context(), o)
	requireCode(t, openflow.CodePermission, err)
	forged := order(d, c.give(t, d), host)
	forged.DAG.Tasks[1].Component = "x"
	_, err = c.at("10001").OfOrder(t.Context(), forged)
	requireCode(t, openflow.CodePermission, err)

	sub := openflow.Submission{DAG: d, ID: "1"}
	_, err = c.at("10001").OfSubmission(t.Context(), "10000", sub)
	require.NoError(t, err)
	_, err = c.at("10001").OfSubmission(t.Context(), "9999", sub)
	requireCode(t, openflow.CodePermission, err)
	for initiator, code := range map[openflow.PartyID]openflow.Code{"10001": "", "10000": "", "9999": openflow.CodePermission} {
		o := plain(initiator)
		o.Key.Scheduler = "10001" // this node schedules it
		_, err := c.at("10001").OfOrder(t.Context(), o)
		require.Equal(t, code, openflow.CodeOf(err), initiator)
	}
}

// Of a peer that is known by where its unsigned requests come from, unsigned jobs are taken with those requests only. They prove no
// initiator at all.
func TestJobsOfUnsignedRequests(t *testing.T) {
	c, d := newConsortium(t), jobDAG()
	record := c.sites["10001"]["10000"]
	record.Sources = []string{"10.0.0.7"}
	c.sites["10001"]["10000"] = record
	o, sub := order(d, nil, d.Parties[1]), openflow.Submission{DAG: d, ID: "1"}
	o.DAG.Conf.Initiator = "10000"
	for name, tc := range map[string]struct {
		ctx  context.Context
		code openflow.Code
	}{
		"a signed request":           {t.Context(), openflow.CodePermission},
		"an unsigned one":            {trust.Unsigned(t.Context(), "10000"), ""},
		"an unsigned one of another": {trust.Unsigned(t.Context(), "9999"), openflow.CodePermission},
	} {
		a, err := c.at("10001").OfOrder(tc.ctx, o)
		require.Equal(t, tc.code, openflow.CodeOf(err), name)
		require.Equal(t, tc.code != "", a.Signed, name)
		a, err = c.at("10001").OfSubmission(tc.ctx, "10000", sub)
		require.Equal(t, tc.code, openflow.CodeOf(err), name)
		require.Equal(t, tc.code != "", a.Signed, name)
	}
	_, err := c.at("10001").OfSubmission(trust.Unsigned(t.Context(), "9999"), "9999", sub)
	requireCode(t, openflow.CodePermission, err)
	forged := order(d, c.give(t, d), d.Parties[1])
	forged.DAG.Tasks[1].Component = "x"
	_, err = c.at("10001").OfOrder(trust.Unsigned(t.Context(), "10000"), forged)
	requireCode(t, openflow.CodePermission, err)
	o.Key.Scheduler = "10001" // this node schedules it, and has taken it so
	a, err := c.at("10001").OfOrder(t.Context(), o)
	require.NoError(t, err)
	require.False(t, a.Signed)
}

// The largest job has a mandate within the bound, and hashing it costs in proportion to what is there, however many parties share
// an entry.
func TestMandateOfTheLargestJob(t *testing.T) {
	c, d := newConsortium(t), jobDAG()
	d.Parties = d.Parties[:1]
	for i := range openflow.MaxParties - 1 {
		id := openflow.PartyID(fmt.Sprintf("p%04d", i) + strings.Repeat("x", 123))
		d.Parties = append(d.Parties, openflow.Party{Role: openflow.RoleHost, ID: id})
	}
	d.Tasks[0].Parties = nil
	d.PartyTasks = []openflow.PartyTasks{{Site: "all", Parties: d.Parties, Tasks: map[openflow.TaskName]openflow.TaskOverride{
		"reader": {Parameters: openflow.Parameters{"large": strings.Repeat("x", 1<<20)}}, // 1 GB, were it read for each party
	}}}
	d.Conf.Purpose = strings.Repeat("<", openflow.MaxPurpose)
	m := c.give(t, d)
	require.LessOrEqual(t, len(m.Text), openflow.MaxMandate)
	require.NoError(t, trust.ReadTerms(m.Text))
}

// One meaning has one text, so two nodes read the same of it.
func FuzzTerms(f *testing.F) {
	m, err := newConsortium(f).at("9999").Give(jobDAG(), "1", "ann")
	require.NoError(f, err)
	text := string(m.Text)
	f.Add(text)
	f.Add(text + " ")
	f.Add(strings.Replace(text, `"job_id"`, `"JOB_ID"`, 1))
	f.Add(strings.Replace(text, `{"job_id"`, `{"job_id":"2","job_id"`, 1))
	f.Add(strings.Replace(text, `{"job_id"`, `{"more":1,"job_id"`, 1))
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, s string) {
		if err := trust.ReadTerms([]byte(s)); err != nil {
			requireCode(t, openflow.CodeInvalid, err)
			return
		}
		for _, other := range []string{s + "\n", " " + s, "{" + s[1:len(s)-1] + `,"job_id":"2"}`} {
			requireCode(t, openflow.CodeInvalid, trust.ReadTerms([]byte(other)))
		}
	})
}
