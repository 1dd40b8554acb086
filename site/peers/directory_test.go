package peers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

type unsigned struct{}

func (unsigned) Sign(*http.Request, openflow.PartyID, []byte) error { return nil }

// What a peer speaks is the operator's word: what it answers changes nothing, and neither does another address.
func TestDialectOfAPeer(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.Chmod(home, 0o700))
	key, err := trust.LoadOrCreateKey(home)
	require.NoError(t, err)
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // a node of FATE-Flow
		asked++
		_ = json.NewEncoder(w).Encode(wire.Envelope{Code: wire.ServerException, Message: "<NotFound '404: Not Found'>"}) // texts can be encoded
	}))
	t.Cleanup(srv.Close)
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	spoken := func() []string {
		s, err := rows.Site(t.Context(), "10000")
		require.NoError(t, err)
		return []string{string(s.Dialect), s.Version, s.Profile}
	}
	d := &Directory{Self: "9999", Records: rows, Dialects: dialect.All{native.Dialect{}, fateflow.Dialect{}}, Signer: unsigned{}, Lines: &Lines{}}
	partner := func() openflow.PartnerService {
		p, err := d.Partner(t.Context(), "10000")
		require.NoError(t, err)
		return p
	}
	register := Register{Self: "9999", Records: rows, Dialects: d.Dialects, Directory: d}
	record := openflow.SiteRecord{Party: "10000", URL: srv.URL, Keys: []string{key.Public().String()}}
	require.NoError(t, register.AddSite(t.Context(), record))
	require.Equal(t, []string{"native", "1", "signed"}, spoken(), "of which nothing is said")
	require.IsType(t, &verbs.Client{}, partner())
	require.Zero(t, asked)

	heard, err := register.ProbeSite(t.Context(), "10000")
	require.NoError(t, err)
	require.Len(t, heard, 3, "FATE-Flow's with and without a signature")
	require.Equal(t, native.Name, heard[0].Dialect)
	require.True(t, heard[0].Recorded)
	require.Error(t, heard[0].Err)
	require.Equal(t, fateflow.Name, heard[1].Dialect)
	require.False(t, heard[1].Recorded)
	require.NoError(t, heard[1].Err)
	require.Equal(t, []string{"native", "1", "signed"}, spoken(), "advice changes nothing")
	require.Error(t, partner().Release(t.Context(), openflow.JobKey{Job: "1"}))
	require.Equal(t, []string{"native", "1", "signed"}, spoken(), "nor does what it answers")

	record.Dialect = fateflow.Name
	require.NoError(t, register.AddSite(t.Context(), record), "the operator says what it is")
	require.Equal(t, []string{"fate-flow", "2", "unsigned"}, spoken())
	require.IsType(t, &fateflow.Client{}, partner())
	record.Dialect, record.URL = "", "http://127.0.0.1:1"
	require.NoError(t, register.AddSite(t.Context(), record))
	require.Equal(t, []string{"fate-flow", "2", "unsigned"}, spoken(), "a start with the same peers forgets nothing, and nor does another address")

	for name, wrong := range map[string]openflow.SiteRecord{
		"dialect": {Dialect: "latin"}, "version": {Dialect: native.Name, Version: "9"}, "profile": {Profile: "signed"},
	} {
		wrong.Party, wrong.URL, wrong.Keys = record.Party, record.URL, record.Keys
		err := register.AddSite(t.Context(), wrong)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
		require.ErrorContains(t, err, "one of", name)
	}
	require.Equal(t, []string{"fate-flow", "2", "unsigned"}, spoken())

	require.NoError(t, register.TakeUnsigned(t.Context(), "10000", true))
	require.NoError(t, register.AddSite(t.Context(), record))
	require.NoError(t, register.RotateSite(t.Context(), "10000", record.Keys[0], true))
	known, err := rows.Site(t.Context(), "10000")
	require.NoError(t, err)
	require.True(t, known.Unsigned, "only the operator takes it back")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(register.TakeUnsigned(t.Context(), "666", true)))
}

// twice is a dialect with two profiles, which says in which one it is asked to call.
type twice struct {
	native.Dialect
	asked *[]string
}

func (twice) Name() openflow.Dialect { return "twice" }

func (twice) Speaks() (versions, profiles []string) {
	return []string{"7"}, []string{"strict", "loose"}
}

func (d twice) Client(l peer.Link) dialect.Client {
	*d.asked = append(*d.asked, l.Version+" "+l.Profile)
	return d.Dialect.Client(l)
}

// The client of a dialect learns from its link which version and profile the peer's record names. A probe tries them all, and
// what the record names is marked.
func TestProfileOfAPeer(t *testing.T) {
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	var asked []string
	d := &Directory{Self: "9999", Records: rows, Dialects: dialect.All{twice{asked: &asked}}, Signer: unsigned{}, Lines: &Lines{}}
	key, err := trust.LoadOrCreateKey(filepath.Join(t.TempDir(), "home"))
	require.NoError(t, err)
	register := Register{Self: "9999", Records: rows, Dialects: d.Dialects, Directory: d}
	record := openflow.SiteRecord{Party: "10000", URL: "http://127.0.0.1:1", Keys: []string{key.Public().String()}, Profile: "loose"}
	require.NoError(t, register.AddSite(t.Context(), record))
	asked = nil
	_, err = d.Partner(t.Context(), "10000")
	require.NoError(t, err)
	require.Contains(t, asked, "7 loose")
	require.NotContains(t, asked, "7 strict")
	heard, err := register.ProbeSite(t.Context(), "10000")
	require.NoError(t, err)
	require.Len(t, heard, 2)
	for i, profile := range []string{"strict", "loose"} {
		require.Equal(t, []any{"7", profile, profile == "loose"}, []any{heard[i].Version, heard[i].Profile, heard[i].Recorded})
		require.Error(t, heard[i].Err, "nobody is there")
	}
	record.Version, record.Profile = "7", ""
	require.NoError(t, register.AddSite(t.Context(), record))
	stays, err := rows.Site(t.Context(), "10000")
	require.NoError(t, err)
	require.Equal(t, "loose", stays.Profile, "what is not said stays")
}

// A genuine FATE-Flow node is sent the session's name that it knows; a node of ours the one that names the scheduler.
func TestSessionAsAPeerKnowsIt(t *testing.T) {
	var heard string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard = r.Header.Get(ptp.HeaderSessionID)
	}))
	t.Cleanup(srv.Close)
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	d := &Directory{Self: "9999", Records: rows, Dialects: dialect.All{native.Dialect{}, fateflow.Dialect{}}, Signer: unsigned{}, Lines: &Lines{}}
	for dialect, want := range map[openflow.Dialect]string{native.Name: "1_psi_0_0@10000", fateflow.Name: "1_psi_0_0"} {
		require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: "10000", URL: srv.URL, Dialect: dialect}))
		heard = ""
		_ = d.PushTo(t.Context(), "10000", peer.Outgoing{Session: "1_psi_0_0@10000", Topic: "t"}) // the answer is none
		require.Equal(t, want, heard, dialect)
	}
}

// What a message's session and topic are here, the record of its sender says; what the tasks of a job are, its rows do.
func TestNamesOfAPeer(t *testing.T) {
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	d := &Directory{Self: "9999", Records: rows, Dialects: dialect.All{native.Dialect{}, fateflow.Dialect{}}}
	require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: "10000", URL: "https://h", Dialect: fateflow.Name}))
	session, topic, err := d.Own(t.Context(), "10000", "1_a_0", "t")
	require.NoError(t, err)
	require.Equal(t, []string{"1_a_0", "t"}, []string{session, topic})
	_, _, err = d.Own(t.Context(), "666", "1_a_0", "t")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))

	dag := &openflow.DAG{Tasks: []openflow.Task{{Name: "a"}, {Name: "b"}}}
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	require.NoError(t, rows.CreateJob(t.Context(), openflow.JobRecord{ID: "1", Party: guest, Scheduler: "10000", DAG: dag}, nil))
	_, err = rows.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{ID: "2", DAG: dag})
	require.NoError(t, err)
	for scheduler, job := range map[openflow.PartyID]openflow.JobID{"10000": "1", "9999": "2"} {
		names, err := d.Tasks(t.Context(), scheduler, job)
		require.NoError(t, err)
		require.Equal(t, []openflow.TaskName{"a", "b"}, names)
		_, err = d.Tasks(t.Context(), scheduler, "3")
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	}
}
