package demo

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"openflow"
	"openflow/components/credit"
	"openflow/node/fleet"
	"openflow/runtime/driver"
	"openflow/sdk"
	"openflow/site/trust"
)

// Options of a demo.
type Options struct {
	Binary     string // of openflow: the nodes are processes of their own
	Components string // of openflow-components
	Reference  string // archive of an image of our components, of provider "reference"; where there is none, the built-in ones run
	Home       string // folder for the three nodes; what is in it from an earlier demo goes
	Runtimes   driver.Openers
	Runtime    string // name of one of them; empty: the first that can be used here
	GuestCSV   string // the user's own data; empty: generated
	HostCSV    string
	ID, Label  string    // columns of the user's own data
	Keep       bool      // leave the nodes running until ctx ends
	Progress   io.Writer // for people
}

// seed makes the demo's data the same everywhere.
const seed = 20240501

// Run runs the demo. The result is complete also when the job failed, as far as things got; then err is not nil too.
// However it ends, no process and no container of the demo is left.
func Run(ctx context.Context, o Options) (res Result, err error) {
	begun := time.Now()
	res.Status = "not submitted"
	runtime, why, err := chooseRuntime(ctx, o.Runtimes, o.Runtime)
	if err != nil {
		return res, err
	}
	res.Runtime = runtime.Kind()
	fmt.Fprintf(o.Progress, "runtime: %s\n", why)
	if err := checkFiles(o); err != nil {
		return res, err
	}
	lock, err := prepareHome(o)
	if err != nil {
		return res, err
	}
	defer func() { _ = lock.Close() }() // nothing was written
	ns, err := newNodes(o, runtime)
	if err != nil {
		return res, err
	}
	defer func() { res.Seconds = seconds(time.Since(begun)) }()
	err = runOn(ctx, o, ns, &res)
	if err == nil && o.Keep {
		fmt.Fprintf(o.Progress, "\nthe nodes stay up until you press Ctrl-C\n")
		<-ctx.Done()
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return res, errors.Join(err, ns.cleanUp(clean, o, res.JobID, err))
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// chooseRuntime takes the one asked for, or the first that can be used here, and says which and why.
func chooseRuntime(ctx context.Context, runtimes driver.Openers, asked string) (runtime driver.Opener, why string, err error) {
	if asked != "" {
		if runtime, err = runtimes.Find(asked); err != nil {
			return nil, "", err
		}
		says, err := runtime.Probe(ctx)
		return runtime, fmt.Sprintf("%s, as asked: %s", asked, says), err
	}
	var away []string
	for _, runtime := range runtimes {
		says, e := runtime.Probe(ctx)
		if e == nil {
			return runtime, strings.Join(append([]string{runtime.Kind()}, away...), ", ") + ": " + says, nil
		}
		away, err = append(away, "because "+runtime.Kind()+" cannot be used here"), errors.Join(err, e)
	}
	return nil, "", err
}

// prepareHome ends what an earlier demo may have left and begins with an empty folder.
func prepareHome(o Options) (lock *os.File, err error) {
	if err := os.MkdirAll(o.Home, 0o700); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "demo folder %s: %w", o.Home, err).WithHint("choose another with --home")
	}
	if err := trust.CheckFolder(o.Home, 0o022); err != nil { // the homes in it are closed; nobody else may replace them
		return nil, err
	}
	lock, err = os.OpenFile(filepath.Join(o.Home, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "demo folder %s: %w", o.Home, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, openflow.Errorf(openflow.CodeConflict, "another demo runs in %s", o.Home).WithHint("give this one another --home")
	}
	return lock, emptyHome(o)
}

func emptyHome(o Options) error {
	if err := fleet.EndLeftovers(o.Home, o.Progress, parties...); err != nil {
		return err
	}
	for _, p := range parties {
		if err := os.RemoveAll(filepath.Join(o.Home, "node-"+string(p))); err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "demo folder %s: %w", o.Home, err)
		}
	}
	return nil
}

// checkFiles looks at the user's own data before three nodes are started for it.
func checkFiles(o Options) error {
	if err := checkFile(o.GuestCSV, o.ID, o.Label); err != nil {
		return err
	}
	return checkFile(o.HostCSV, o.ID)
}

func checkFile(file string, columns ...string) error {
	if file == "" {
		return nil // generated data
	}
	f, err := os.Open(file)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "%w", err)
	}
	header, err := csv.NewReader(f).Read()
	if err = errors.Join(err, f.Close()); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "%s has no readable header: %w", file, err)
	}
	for _, c := range columns {
		if !slices.Contains(header, c) {
			return openflow.Errorf(openflow.CodeInvalid, "%s has no column %q", file, c).
				WithHint("it has %s; say which one it is with --id and --label", strings.Join(header, ", "))
		}
	}
	return nil
}

func runOn(ctx context.Context, o Options, ns nodes, res *Result) (err error) {
	fmt.Fprintf(o.Progress, "starting three nodes: guest %s, host %s, arbiter %s (SQLite NORMAL: survives kill -9, not power loss)\n", parties[0], parties[1], parties[2])
	if err := ns.Start(); err != nil {
		return err
	}
	if err := ns.Ready(ctx); err != nil {
		return err
	}
	for _, n := range ns.Nodes {
		about, err := n.Client().About(ctx)
		if err != nil {
			return err
		}
		res.Nodes = append(res.Nodes, NodeResult{PartyID: string(n.Party), URL: n.URL, TemporalUI: about.TemporalUI})
		fmt.Fprintf(o.Progress, "  node %-6s %s  Temporal UI %s\n", n.Party, n.URL, about.TemporalUI)
	}
	if err := ns.upload(ctx, o); err != nil {
		return err
	}
	if err := ns.grant(ctx); err != nil {
		return err
	}
	if res.Provider, err = ns.provide(ctx, o); err != nil {
		return err
	}
	return ns.runJob(ctx, o, res)
}

// parties of the demo, in the order guest, host, arbiter.
var parties = []openflow.PartyID{"9999", "10000", "10001"}

// nodes are the three sites of the demo, in the order of parties.
type nodes struct {
	*fleet.Fleet
	runtime driver.Opener
}

func newNodes(o Options, runtime driver.Opener) (nodes, error) {
	f, err := fleet.New(o.Home, fleet.Options{Binary: o.Binary, Components: o.Components, Runtime: runtime, LogLevel: "warn", Flags: []string{"--cores", "32", "--unconfined"}}, parties...)
	return nodes{f, runtime}, err
}

// reference is the provider of our components as an image that nodes register like anybody's.
const reference = "reference"

// provide registers that image at each node, whose runtime runs images where it isolates. It names the provider that the job is to
// have; empty: the built-in one.
func (n nodes) provide(ctx context.Context, o Options) (provider string, err error) {
	if !n.runtime.Traits().Isolates {
		fmt.Fprintf(o.Progress, "the %s runtime runs no images: the job has the built-in components\n", n.runtime.Kind())
		return "", nil
	}
	text, err := os.ReadFile(o.Reference)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(o.Progress, "there is no image at %s (make reference): the job has the built-in components\n", o.Reference)
		return "", nil
	}
	archive := filepath.Join(o.Home, "reference.tar") // where nobody else may change it
	if err == nil {
		err = os.WriteFile(archive, text, 0o600)
	}
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "image of the reference components: %w", err)
	}
	for i, party := range parties {
		p, err := n.client(i).RegisterProvider(ctx, sdk.Registration{Place: archive, Name: reference})
		if err != nil {
			return "", openflow.AtParty(party, err)
		}
		fmt.Fprintf(o.Progress, "registered image %s at party %s: provider %s:%s with %d components\n", p.Digest, party, p.Name, p.Version, len(p.Components))
		provider = p.Name + ":" + p.Version
	}
	return provider, nil
}

func (n nodes) client(i int) *sdk.Client { return n.Nodes[i].Client() }

// grant lets the guest's jobs use what they need at the other two sites, and nothing more.
func (n nodes) grant(ctx context.Context) error {
	guestID := parties[0]
	components := func(names ...string) (list []openflow.GrantedComponent) {
		for _, name := range names {
			list = append(list, openflow.GrantedComponent{Name: name})
		}
		return list
	}
	for i, use := range []openflow.Grant{
		{
			Components: components("reader", "psi", "coordinated_lr"),
			Tables:     []openflow.GrantedTable{{Name: openflow.TableName{Namespace: namespace, Name: hostTable}}},
		},
		{Components: components("coordinated_lr")},
	} {
		use.Kind, use.Initiator = openflow.GrantUse, guestID
		_, err := n.client(1+i).Grant(ctx, openflow.Grant{Kind: openflow.GrantInitiate, Initiator: guestID},
			openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: guestID}, use)
		if err != nil {
			return err
		}
	}
	return nil
}

// upload puts a table at guest and host: the user's own, or generated ones.
func (n nodes) upload(ctx context.Context, o Options) error {
	guestData, hostData, err := credit.Generate(seed, credit.GuestRows, credit.HostRows, credit.Shared)
	if err != nil {
		return err
	}
	for _, u := range []struct {
		node        int
		table, file string
		generated   io.WriterTo
		label       string
	}{
		{0, guestTable, o.GuestCSV, guestData, o.Label}, {1, hostTable, o.HostCSV, hostData, ""},
	} {
		rows, source, err := open(u.file, u.generated)
		if err != nil {
			return err
		}
		done, err := n.client(u.node).Upload(ctx, sdk.Upload{
			Table: openflow.TableName{Namespace: namespace, Name: u.table}, Rows: rows,
			Columns: sdk.Columns{MatchID: o.ID, Label: u.label, DType: "float64"},
		})
		err = errors.Join(err, rows.Close())
		if err != nil {
			return openflow.AtParty(parties[u.node], err)
		}
		fmt.Fprintf(o.Progress, "uploaded %d rows to party %s (%s)\n", done.Count, parties[u.node], source)
	}
	return nil
}

// open gives the rows of a file, or of generated data, and says where they come from.
func open(file string, generated io.WriterTo) (io.ReadCloser, string, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return nil, "", openflow.Errorf(openflow.CodeInvalid, "%s: %w", file, err)
		}
		return f, file, nil
	}
	r, w := io.Pipe()
	go func() {
		_, err := generated.WriteTo(w)
		_ = w.CloseWithError(err) // never fails
	}()
	return r, "generated credit data", nil
}

// runJob submits the pipeline and shows every change of every task at every party until the job has ended.
func (n nodes) runJob(ctx context.Context, o Options, res *Result) error {
	dag, err := pipeline(res.Provider)
	if err != nil {
		return err
	}
	started := time.Now()
	made, err := n.client(0).Submit(ctx, dag, "")
	if err != nil {
		return err
	}
	res.JobID, res.Status = string(made.ID), "submitted"
	fmt.Fprintf(o.Progress, "job %s: reader → psi → coordinated_lr → evaluation\n", made.ID)
	w := watcher{nodes: n, job: made.ID, started: started, out: o.Progress, seen: map[string]string{}}
	if err := w.watch(ctx); err != nil {
		return err
	}
	res.Status, res.Tasks = w.status, w.tasks
	fmt.Fprintf(o.Progress, "job %s: %s after %.1f s\n", made.ID, w.status, time.Since(started).Seconds())
	if w.status != string(openflow.JobSuccess) {
		return openflow.Errorf(openflow.CodeRejected, "the job is %s: %s", w.status, w.reason)
	}
	return n.results(ctx, o, made.ID, res)
}

// cleanUp ends the job if it still runs, then the nodes, then what containers may be left.
func (n nodes) cleanUp(ctx context.Context, o Options, job string, cause error) error {
	if job != "" && cause != nil {
		n.stopJob(ctx, openflow.JobID(job), o.Progress)
	}
	return errors.Join(n.Stop(), n.RemoveContainers(ctx))
}

// stopPatience is how long a job may take to stop before its containers are ended from outside.
const stopPatience = 10 * time.Second

// stopJob cancels the job and waits until no task of it runs anywhere, or ctx ends.
func (n nodes) stopJob(ctx context.Context, id openflow.JobID, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	if _, err := n.client(0).Stop(ctx, id); err != nil {
		return // the node is gone; what runs is ended below
	}
	fmt.Fprintf(out, "stopping job %s\n", id)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n.running(ctx, id) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n nodes) running(ctx context.Context, id openflow.JobID) bool {
	for _, s := range n.Nodes {
		tasks, err := s.Client().Tasks(ctx, id)
		if err != nil {
			continue // no task of the job there, or no node
		}
		for _, t := range tasks {
			if t.PartyStatus == string(openflow.TaskRunning) {
				return true
			}
		}
	}
	return false
}
