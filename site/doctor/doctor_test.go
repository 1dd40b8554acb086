package doctor_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/doctor"
)

const (
	good = openflow.VerdictOK
	tip  = openflow.VerdictWarn
	bad  = openflow.VerdictFail
)

func code(c openflow.Code, text string) error { return openflow.Errorf(c, "%s", text) }

// signs makes a peer one that signs with an app.
func signs(called, calls bool, url string) func(*doctor.Peer) {
	return func(p *doctor.Peer) { p.Trust, p.Called, p.Calls, p.URL = openflow.TrustSignature, called, calls, url }
}

// Each way a peer can be wrong shows in the check that names it.
func TestPeers(t *testing.T) {
	well := doctor.Peer{Party: "10000", URL: "http://h", Answered: true, Timed: true, Version: "v1",
		Granted: []openflow.GrantKind{openflow.GrantInitiate, openflow.GrantSchedule, openflow.GrantUse}}
	change := func(f func(*doctor.Peer)) doctor.Peer { p := well; f(&p); return p }
	for name, c := range map[string]struct {
		peer  doctor.Peer
		check string
		want  openflow.Verdict
		says  string
	}{
		"well: there":                     {well, "reach 10000", good, "http://h"},
		"well: back":                      {well, "reached by 10000", good, ""},
		"well: keys":                      {well, "keys 10000", good, ""},
		"well: clock":                     {well, "clock 10000", good, "2s"},
		"well: version":                   {well, "version 10000", good, "v1"},
		"well: grants":                    {well, "grants 10000", good, ""},
		"well: jobs":                      {well, "jobs of 10000", good, "signature of their initiator only"},
		"unsigned jobs":                   {change(func(p *doctor.Peer) { p.Unsigned = true }), "jobs of 10000", tip, "unsigned jobs are taken from party 10000"},
		"unsigned, from an address":       {change(func(p *doctor.Peer) { p.Sources = []string{"10.0.0.7"} }), "unsigned from 10.0.0.7", tip, "whoever can send from there, or is on the way, speaks as party 10000"},
		"unsigned, from this machine":     {change(func(p *doctor.Peer) { p.Sources = []string{"127.0.0.1"} }), "unsigned from 127.0.0.1", tip, "every user and every proxy of this machine speaks as party 10000"},
		"unsigned, by a certificate":      {change(func(p *doctor.Peer) { p.Sources = []string{"sha256:" + strings.Repeat("0", 64)} }), "unsigned from sha256:" + strings.Repeat("0", 64), tip, "whoever shows that certificate"},
		"unsigned, by an authority":       {change(func(p *doctor.Peer) { p.Sources = []string{"authority"} }), "unsigned from authority", tip, "in the name of party 10000"},
		"unsigned, from what is no place": {change(func(p *doctor.Peer) { p.Sources = []string{"x"} }), "unsigned from x", bad, "no place"},
		"signs with an app":               {change(signs(true, true, "https://h")), "trust 10000", tip, "neither path nor body"},
		"signs, without TLS":              {change(signs(true, true, "http://h")), "trust 10000", tip, "whoever is on the way"},
		"signs, without an app of ours":   {change(signs(false, true, "https://h")), "trust 10000", bad, "has no app to sign its calls"},
		"signs, without an app of theirs": {change(signs(true, false, "https://h")), "trust 10000", bad, "has given this site no app"},
		"signs: keys":                     {change(signs(true, true, "https://h")), "keys 10000", good, "takes this node for who it is"},
		"signs: back":                     {change(signs(true, true, "https://h")), "reached by 10000", good, "cannot be asked"},
		"nothing, behind a router": {change(func(p *doctor.Peer) {
			p.Trust, p.Way, p.Sources = openflow.TrustNone, openflow.WayRouter, []string{"10.0.0.7"}
		}), "trust 10000", tip, "whoever calls through the same router"},
		"away":                       {doctor.Peer{Party: "10000", Err: code(openflow.CodeUnavailable, "does not answer")}, "reach 10000", bad, "does not answer"},
		"away: back":                 {doctor.Peer{Party: "10000", Err: code(openflow.CodeUnavailable, "x")}, "reached by 10000", tip, "not known"},
		"away: keys":                 {doctor.Peer{Party: "10000", Err: code(openflow.CodeUnavailable, "x")}, "keys 10000", tip, "not known"},
		"away: clock":                {doctor.Peer{Party: "10000", Err: code(openflow.CodeUnavailable, "x")}, "clock 10000", tip, "not known"},
		"cannot call us":             {change(func(p *doctor.Peer) { p.CallBack = code(openflow.CodeUnavailable, "does not reach this node") }), "reached by 10000", bad, "does not reach"},
		"our key":                    {change(func(p *doctor.Peer) { p.Err = code(openflow.CodeUnauthorized, "signature does not verify") }), "keys 10000", bad, "signature"},
		"their key":                  {change(func(p *doctor.Peer) { p.CallBack = code(openflow.CodeUnauthorized, "not known here") }), "keys 10000", bad, "not known here"},
		"another key there":          {doctor.Peer{Party: "10000", URL: "https://h", Err: anotherKey("9999")}, "keys 10000", bad, "shows a certificate"},
		"another key there: the way": {doctor.Peer{Party: "10000", URL: "https://h", Err: anotherKey("9999")}, "reach 10000", tip, "answers at https://h"},
		"another key here":           {doctor.Peer{Party: "10000", URL: "https://h", Err: anotherKey("10000")}, "keys 10000", bad, "shows a certificate"},
		"another key here: the way":  {doctor.Peer{Party: "10000", URL: "https://h", Err: anotherKey("10000")}, "reach 10000", tip, "answers at https://h"},
		"another key: the way back":  {doctor.Peer{Party: "10000", URL: "https://h", Err: anotherKey("9999")}, "reached by 10000", tip, "not known"},
		"it meets another node":      {change(func(p *doctor.Peer) { p.CallBack = anotherKey("10000") }), "reached by 10000", tip, "one side does not take the other"},
		"it has no peer":             {change(func(p *doctor.Peer) { p.CallBack = code(openflow.CodeInvalid, "party 9999 is not known here") }), "keys 10000", bad, "not known"},
		"other failure":              {change(func(p *doctor.Peer) { p.Err = code(openflow.CodeInternal, "broken") }), "keys 10000", tip, "broken"},
		"clock 9 s":                  {change(func(p *doctor.Peer) { p.Clock = 9 * time.Second }), "clock 10000", good, "9s"},
		"clock 10 s":                 {change(func(p *doctor.Peer) { p.Clock = 10 * time.Second }), "clock 10000", tip, "10s apart"},
		"clock −45 s":                {change(func(p *doctor.Peer) { p.Clock = -45 * time.Second }), "clock 10000", tip, "45s apart"},
		"clock 2 min":                {change(func(p *doctor.Peer) { p.Clock = 2 * time.Minute }), "clock 10000", bad, "2m0s apart"},
		"clock, not keys":            {change(func(p *doctor.Peer) { p.Clock = time.Hour; p.Err = code(openflow.CodeUnauthorized, "x") }), "keys 10000", tip, "clocks"},
		"older version":              {change(func(p *doctor.Peer) { p.Version = "v0" }), "version 10000", tip, "v0"},
		"foreign version":            {change(func(p *doctor.Peer) { p.Version = "" }), "version 10000", good, "does not tell"},
		"no grants":                  {change(func(p *doctor.Peer) { p.Granted = nil }), "grants 10000", tip, "may use nothing"},
		"may not initiate":           {change(func(p *doctor.Peer) { p.Granted = []openflow.GrantKind{openflow.GrantUse} }), "grants 10000", tip, "may not initiate jobs"},
		"quota":                      {change(func(p *doctor.Peer) { p.Quota.Jobs = 2; p.Use.Jobs = 1 }), "quota 10000", good, "1 of 2 jobs"},
		"all its jobs":               {change(func(p *doctor.Peer) { p.Quota.Jobs = 2; p.Use.Jobs = 2 }), "quota 10000", tip, "all jobs that it may: 2 of 2 jobs"},
		"all its places":             {change(func(p *doctor.Peer) { p.Quota.Waiting = 1; p.Use.Waiting = 1 }), "quota 10000", tip, "all places in the queue that it may"},
		"cores and more": {change(func(p *doctor.Peer) {
			p.Quota.Cores, p.Quota.Memory, p.Use.Held.Cores, p.Use.Held.Memory = 2, 1<<30, 2, 1<<30
		}), "quota 10000", tip, "all cores and memory that it may"},
		"any grants":    {change(func(p *doctor.Peer) { p.Granted, p.GrantAll = nil, true }), "grants 10000", good, "needs no grants"},
		"all its cores": {change(func(p *doctor.Peer) { p.Quota.Cores = 2; p.Use.Held.Cores = 2 }), "quota 10000", tip, "all cores that it may: 2 of 2 cores"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, find(t, c.peer.Examine("v1"), c.check, c.says).Verdict)
		})
	}
	require.Equal(t, tip, doctor.Peers(nil).Verdict)
	require.Equal(t, tip, doctor.Grants(true).Verdict)
	require.Contains(t, doctor.Grants(true).Detail, "every peer may")
	require.Equal(t, good, doctor.Grants(false).Verdict)
	require.Equal(t, good, doctor.Peers([]openflow.PartyID{"10000"}).Verdict)
}

// anotherKey is a handshake that fails because of a key, at a party.
func anotherKey(at openflow.PartyID) error {
	return openflow.AtParty(at, openflow.Errorf(openflow.CodeUnauthorized, "shows a certificate of another key").WithHint("compare keys"))
}

// A handshake that fails because of a key is no matter of firewalls, and what the error advises is the remedy.
func TestAKeyIsNoFirewall(t *testing.T) {
	for _, at := range []openflow.PartyID{"9999", "10000"} {
		list := doctor.Peer{Party: "10000", URL: "https://h", Err: anotherKey(at)}.Examine("v1")
		require.Equal(t, "compare keys", find(t, list, "keys 10000", "at party "+string(at)).Remedy)
		require.NotContains(t, find(t, list, "keys 10000", "").Detail, "compare keys", "once is enough")
		require.Contains(t, find(t, list, "reach 10000", "").Remedy, "keys 10000")
		for _, f := range list {
			require.NotContains(t, f.Detail+f.Remedy, "firewall", f.Check)
		}
	}
}

// A wrong key is mended where the record is, so the remedy is that of the site which refuses.
func TestWhereAKeyIsMended(t *testing.T) {
	for at, remedy := range map[openflow.PartyID]string{
		"9999": "openflow site rotate 10000 --key KEY", "10000": "give its operator the key",
	} {
		refused := openflow.AtParty(at, code(openflow.CodeUnauthorized, "another key"))
		p := doctor.Peer{Party: "10000", Answered: true, Timed: true, Err: refused}
		require.Contains(t, find(t, p.Examine("v1"), "keys 10000", "another key").Remedy, remedy)
	}
}

// find is the finding of a check; what is not well has a remedy.
func find(t *testing.T, list []openflow.Finding, check, says string) openflow.Finding {
	t.Helper()
	for _, f := range list {
		if f.Check != check {
			continue
		}
		require.Contains(t, f.Detail, says)
		require.Equal(t, f.Verdict == good, f.Remedy == "", "%+v", f)
		return f
	}
	t.Fatalf("no check %q in %+v", check, list)
	return openflow.Finding{}
}

func TestMachine(t *testing.T) {
	const gib = 1 << 30
	closed, open := mode(0o600), mode(0o644)
	one := func(f openflow.Finding) []openflow.Finding { return []openflow.Finding{f} }
	for name, c := range map[string]struct {
		got   []openflow.Finding
		check string
		want  openflow.Verdict
		says  string
	}{
		"room":               {one(doctor.Disk(doctor.Space{Free: 10 * gib})), "disk", good, "10240 MiB"},
		"little room":        {one(doctor.Disk(doctor.Space{Free: gib})), "disk", tip, "1024 MiB"},
		"full":               {one(doctor.Disk(doctor.Space{Free: 1 << 20})), "disk", bad, "1 MiB"},
		"gone":               {one(doctor.Disk(doctor.Space{Err: errors.New("not mounted")})), "disk", bad, "not mounted"},
		"inodes":             {one(doctor.Inodes(doctor.Space{Inodes: 1e6, FreeInodes: 9e5})), "inodes", good, "90 %"},
		"no inodes to count": {one(doctor.Inodes(doctor.Space{})), "inodes", good, ""},
		"few inodes":         {one(doctor.Inodes(doctor.Space{Inodes: 1e6, FreeInodes: 2e4})), "inodes", tip, "2 %"},
		"no inodes":          {one(doctor.Inodes(doctor.Space{Inodes: 1e6, FreeInodes: 10})), "inodes", bad, "10 more"},
		"sync":               {one(doctor.Sync(time.Millisecond, nil)), "fsync", good, "1ms"},
		"slow disk":          {one(doctor.Sync(time.Second, nil)), "fsync", tip, "1s"},
		"read-only":          {one(doctor.Sync(0, fs.ErrPermission)), "fsync", bad, "permission"},
		"format":             {one(doctor.Home(1, 1)), "home format", good, "format 1"},
		"older format":       {one(doctor.Home(1, 2)), "home format", tip, "format is 1"},
		"own key":            {one(doctor.OwnKey(closed, "k", "k", nil)), "own key", good, ""},
		"key open":           {one(doctor.OwnKey(open, "k", "k", nil)), "own key", bad, "0644"},
		"key changed":        {one(doctor.OwnKey(closed, "k2", "k", nil)), "own key", bad, "not the key"},
		"key gone":           {one(doctor.OwnKey(nil, "", "k", fs.ErrNotExist)), "own key", bad, "not exist"},
		"components":         {one(doctor.Components("/x", nil)), "components", good, "/x"},
		"components gone":    {one(doctor.Components("/x", fs.ErrNotExist)), "components", bad, "not exist"},
		"no orphans":         {one(doctor.Orphans(nil)), "orphans", good, ""},
		"orphans":            {one(doctor.Orphans(strings.Fields("a b c d e f g"))), "orphans", tip, "and 2 more"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, find(t, c.got, c.check, c.says).Verdict) })
	}
}

func TestSite(t *testing.T) {
	m1 := openflow.WorkerRecord{Name: "m1", Cores: 8, Labels: []string{"gpu", "fast"}}
	m2 := openflow.WorkerRecord{Name: "m2", Cores: 4}
	both := []openflow.WorkerRecord{m1, m2}
	one := func(f openflow.Finding) []openflow.Finding { return []openflow.Finding{f} }
	workers := func(w doctor.Workers) []openflow.Finding { return one(w.Examine()) }
	for name, c := range map[string]struct {
		got   []openflow.Finding
		check string
		want  openflow.Verdict
		says  string
	}{
		"alone":             {workers(doctor.Workers{Alone: true, Cores: 8, Machine: 8}), "workers", good, "8 of the 8 cores"},
		"more than it has":  {workers(doctor.Workers{Alone: true, Cores: 32, Machine: 2}), "workers", tip, "the runtime has 2"},
		"promises too few":  {workers(doctor.Workers{Alive: both, Cores: 11}), "workers", tip, "jobs share 11 cores"},
		"machines":          {workers(doctor.Workers{Alive: both, Cores: 12}), "workers", good, "2 machines with 12 cores: m1 (fast, gpu), m2"},
		"nobody":            {workers(doctor.Workers{NoTasks: true, Cores: 4}), "workers", bad, "--no-tasks"},
		"the node is gone":  {workers(doctor.Workers{Cores: 4}), "workers", tip, "0 machines"},
		"promises too much": {workers(doctor.Workers{Alive: both, Cores: 13}), "workers", tip, "jobs share 13 cores"},
		"busy":              {workers(doctor.Workers{Alive: both, Cores: 12, Waiting: doctor.Queue{Backlog: 2, Age: time.Minute}}), "workers", good, "12 cores"},
		"too busy":          {workers(doctor.Workers{Alive: both, Cores: 12, Waiting: doctor.Queue{Backlog: 2, Age: time.Hour}}), "workers", tip, "2 runs wait"},
		"one is silent": {
			workers(doctor.Workers{Alive: both, Cores: 12, Silent: []openflow.WorkerRecord{{Machine: "x", Name: "m3", Cores: 1}}}),
			"workers", tip, "machines are silent: x (m3) since ",
		},
		"and has runs": {
			workers(doctor.Workers{Alive: both, Cores: 12, Silent: []openflow.WorkerRecord{{Machine: "x", Name: "m3", Running: []openflow.RunID{"r"}}}}),
			"workers", bad, "1 runs are at machines that are silent: x (m3) since ",
		},
		"the last one is silent": {
			workers(doctor.Workers{Alone: true, Cores: 8, Machine: 8, Silent: []openflow.WorkerRecord{{Machine: "x", Name: "m3", Cores: 1}}}),
			"workers", tip, "machines are silent",
		},
		"runs are shut out": {
			workers(doctor.Workers{Alone: true, Cores: 8, Machine: 8, ShutOut: []openflow.WorkerRecord{{Machine: "x", Name: "m3", Running: []openflow.RunID{"r"}}}}),
			"workers", bad, "1 runs are at machines of the pool, which cannot reach this node since it was started without --listen-workers: x (m3)",
		},
		"store": {one(doctor.Store{Name: "catalogue", Place: "/home"}.Examine()), "store catalogue", good, "/home answers"},
		"store away": {
			one(doctor.Store{Name: "messages", Place: "redis://h:6379/0", Err: errors.New("refused")}.Examine()),
			"store messages", bad, "redis://h:6379/0: refused",
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, find(t, c.got, c.check, c.says).Verdict) })
	}
}

// A store that answers and is full is not to be looked for.
func TestFullStore(t *testing.T) {
	f := doctor.Store{Name: "messages", Place: "/home/messages", Err: openflow.Errorf(openflow.CodeExhausted, "disk full")}.Examine()
	require.Equal(t, bad, f.Verdict)
	require.Equal(t, "/home/messages: disk full", f.Detail)
	require.Contains(t, f.Remedy, "make room there")
	require.NotContains(t, f.Remedy, "reaches it")
}

// mode is a file of that mode.
type mode fs.FileMode

func (mode) Name() string        { return "node.key" }
func (mode) Size() int64         { return 1 }
func (m mode) Mode() fs.FileMode { return fs.FileMode(m) }
func (mode) ModTime() time.Time  { return time.Time{} }
func (mode) IsDir() bool         { return false }
func (mode) Sys() any            { return nil }

func TestPolicyFile(t *testing.T) {
	one := func(f openflow.Finding) []openflow.Finding { return []openflow.Finding{f} }
	require.Equal(t, good, find(t, one(doctor.Policy("", false, nil, nil)), "policy", "the defaults hold").Verdict)
	require.Equal(t, good, find(t, one(doctor.Policy("/h/policy.yaml", false, nil, nil)), "policy", "/h/policy.yaml is in force").Verdict)
	require.Equal(t, tip, find(t, one(doctor.Policy("/h/policy.yaml", true, nil, nil)), "policy", "has changed").Verdict)
	require.Equal(t, bad, find(t, one(doctor.Policy("/h/policy.yaml", true, errors.New("line 2"), nil)), "policy", "line 2").Verdict)
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	took, err := doctor.WriteFile(dir)
	require.NoError(t, err)
	require.Positive(t, took)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = doctor.WriteFile(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestWork(t *testing.T) {
	one := func(f openflow.Finding) []openflow.Finding { return []openflow.Finding{f} }
	queues := func(q ...doctor.Queue) []openflow.Finding { return doctor.Temporal("1.32", q) }
	day := 24 * time.Hour
	capacity := openflow.Resources{Cores: 32, Memory: 8 << 30}
	for name, c := range map[string]struct {
		got   []openflow.Finding
		check string
		want  openflow.Verdict
		says  string
	}{
		"temporal":                {queues(doctor.Queue{Name: "q", Pollers: 2}), "temporal", good, "1.32"},
		"temporal away":           {queues(doctor.Queue{Err: errors.New("refused")}), "temporal", bad, "refused"},
		"queue":                   {queues(doctor.Queue{Name: "q", Pollers: 2}), "queue q", good, "2 pollers"},
		"backlog, nobody":         {queues(doctor.Queue{Name: "q", Backlog: 3, Age: time.Second}), "queue q", bad, "nobody"},
		"nobody":                  {queues(doctor.Queue{Name: "q"}), "queue q", tip, "nobody"},
		"old backlog":             {queues(doctor.Queue{Name: "q", Pollers: 1, Backlog: 9, Age: time.Hour}), "queue q", tip, "1h0m0s"},
		"workflows":               {one(doctor.Workflows(nil, 3, 3, nil)), "workflows", good, "3 of 3"},
		"does not replay":         {one(doctor.Workflows([]doctor.Failing{{"j1", 7}}, 3, 3, nil)), "workflows", bad, "j1 (attempt 7)"},
		"cannot be listed":        {one(doctor.Workflows(nil, 0, 0, errors.New("away"))), "workflows", bad, "away"},
		"waits":                   {one(doctor.Waits([]doctor.Waiting{{"j", "busy", time.Hour}})), "waits", good, "1 jobs wait"},
		"long waits":              {one(doctor.Waits([]doctor.Waiting{{"j", "10000 is busy", 2 * day}})), "waits", tip, "10000 is busy"},
		"capacity":                {one(doctor.Capacity(openflow.Resources{Cores: 4}, capacity, 1)), "capacity", good, "4 of 32"},
		"capacity without memory": {one(doctor.Capacity(openflow.Resources{Memory: 8 << 30}, capacity, 1)), "capacity", tip, "8GiB of 8GiB"},
		"capacity used up":        {one(doctor.Capacity(openflow.Resources{Cores: 32}, capacity, 8)), "capacity", tip, "32 of 32"},
		"capacity leaks":          {one(doctor.Capacity(openflow.Resources{Cores: 4}, capacity, 0)), "capacity", bad, "0 jobs are open"},
		"retention":               {one(doctor.Kept(doctor.Retention{Workflows: 72 * time.Hour, Jobs: 30 * day})), "retention", good, "histories 3 days, jobs 30 days"},
		"histories short":         {one(doctor.Kept(doctor.Retention{Workflows: time.Minute, Jobs: day})), "retention", tip, "1m0s"},
		"jobs for ever":           {one(doctor.Kept(doctor.Retention{Workflows: day, Jobs: 4000 * day})), "retention", tip, "4000 days"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, find(t, c.got, c.check, c.says).Verdict) })
	}
}

// A policy whose folder is empty does not hold, and what follows from it says so.
func TestPolicyWithoutRecords(t *testing.T) {
	empty := openflow.Errorf(openflow.CodeInvalid, "the folder has no record").WithHint("put records there")
	f := doctor.Policy("/h/policy.yaml", false, nil, empty)
	require.Equal(t, []string{"the folder has no record", "put records there"}, []string{f.Detail, f.Remedy})
	require.Equal(t, openflow.VerdictFail, f.Verdict)
	ref := openflow.ProviderRef{Name: "acme", Version: "1"}
	for remedy, one := range map[string]doctor.Provider{
		"until that is mended, its runs fail here; see docs/policy.md": {Refused: empty},
		"its runs fail here; see docs/providers.md on trust":           {Refused: openflow.Errorf(openflow.CodePermission, "no signature")},
		"put back what was registered; until then its runs fail here":  {Wrong: errors.New("it is gone")},
		"use --runtime docker, and leave --trust-provider out":         {Exposed: true},
	} {
		require.Equal(t, remedy, doctor.Providers(map[openflow.ProviderRef]doctor.Provider{ref: one})[0].Remedy)
	}
}

// Components that have failed are told of by provider and reason.
func TestFailed(t *testing.T) {
	acme := openflow.ProviderRef{Name: "acme", Version: "1"}
	of := func(name string, state openflow.ComponentState, reason string) openflow.ComponentRecord {
		return openflow.ComponentRecord{Name: name, Provider: acme, Standing: openflow.ComponentStanding{State: state, Reason: reason}}
	}
	require.Empty(t, doctor.Failed([]openflow.ComponentRecord{of("a", openflow.ComponentLoaded, "")}))
	found := doctor.Failed([]openflow.ComponentRecord{
		of("b", openflow.ComponentFailed, "it is gone"), of("a", openflow.ComponentFailed, "it is gone"), of("c", openflow.ComponentFailed, "it ails"),
	})
	require.Len(t, found, 2)
	require.Equal(t, "components of acme:1", found[0].Check)
	require.Equal(t, "c: FAILED, no new jobs: it ails", found[0].Detail)
	require.Equal(t, "a, b: FAILED, no new jobs: it is gone", found[1].Detail)
	require.Equal(t, openflow.VerdictFail, found[1].Verdict)
}
