package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

func jobCommands(o *options) *cobra.Command {
	named := []*cobra.Command{watchCommand(o), showCommand(o), stopCommand(o), rerunCommand(o), logsCommand(o), outputCommand(o)}
	for _, c := range named {
		c.Flags().StringVar(&o.scheduler, "scheduler", "", "party that schedules the job, where jobs of several parties have its ID here")
	}
	return group("job", "Submit, observe and stop jobs, and fetch what they made",
		`A job is described by a DAG document (YAML or JSON): who takes part and which tasks run on what. Jobs run on after
the command has ended; the node does not need it.`,
		`  openflow job submit psi.yaml --watch
  openflow job list --status running
  openflow job show 202601021504050000000`,
		append([]*cobra.Command{templateCommand(o), submitCommand(o), listCommand(o)}, named...)...)
}

// submission is the document of job submit.
type submission struct {
	JobID        openflow.JobID `json:"job_id"`
	ModelID      string         `json:"model_id"`
	ModelVersion string         `json:"model_version"`
	Warnings     []string       `json:"warnings"`
}

func submitCommand(o *options) *cobra.Command {
	var watch bool
	var key, user, purpose string
	c := &cobra.Command{
		Use:   "submit FILE",
		Short: "Submit the job that FILE describes",
		Long: `Submit the job that FILE describes, in YAML or JSON; - reads standard input. The document is checked here first:
mistakes are told by line. The command returns once every party has created the job, or with --watch, when it has ended;
then the exit code is 1 unless the job succeeded.`,
		Example: `  openflow job submit psi.yaml
  openflow job submit psi.yaml --watch -o json
  openflow job submit - --key nightly-2026-01-02 < psi.yaml`,
		Args: positional("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			dag, err := readDAG(c.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			if purpose != "" {
				dag.Conf.Purpose = purpose
			}
			client := o.client()
			client.User, client.Scheduler = user, dag.Conf.Scheduler
			made, err := client.Submit(c.Context(), dag, key)
			if err != nil {
				return err
			}
			for _, w := range made.Warnings {
				say(c, "warning: %s", w)
			}
			if watch {
				say(c, "job %s is submitted", made.ID)
				return o.watch(c, client, made.ID, made.Warnings)
			}
			doc := submission{made.ID, made.ModelID, made.ModelVersion, append([]string{}, made.Warnings...)}
			return o.show(c, doc, func(w io.Writer) {
				line(w, "job", string(made.ID))
				line(w, "next", o.watchCommandOf(made.ID))
			})
		},
	}
	c.Flags().BoolVar(&watch, "watch", false, "follow the job until it has ended")
	c.Flags().StringVar(&key, "key", "", "idempotency key: repeating the command with it gives the same job")
	c.Flags().StringVar(&user, "user", "", "user name that the job is listed under")
	c.Flags().StringVar(&purpose, "purpose", "", "what the job is for, which all parties read; instead of the document's")
	return c
}

// readDAG reads a document and says where it is wrong.
func readDAG(stdin io.Reader, file string) (*openflow.DAG, error) {
	r, name := stdin, "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the DAG document cannot be read: %w", err)
		}
		defer func() { _ = f.Close() }() // reading only
		r, name = f, file
	}
	b, err := io.ReadAll(io.LimitReader(r, wire.MaxDocument+1))
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s: %w", name, err)
	}
	dag, err := wire.ParseDAG(b)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s: %w", name, err)
	}
	return dag, nil
}

func watchCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a job until it has ended",
		Long: `Follow a job until it has ended. Changes are told on standard error as they happen, the job as it is in the end on
standard output. A restart of the node is waited for. The exit code is 1 unless the job succeeded.`,
		Example: `  openflow job watch 202601021504050000000
  openflow job watch 202601021504050000000 -o json | jq .status`,
		Args: positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.watch(c, o.client(), openflow.JobID(args[0]), nil)
		},
	}
}

// watchCommandOf is the command that follows a job. Who needed the scheduler to name the job needs it there, too.
func (o *options) watchCommandOf(id openflow.JobID) string {
	text := "openflow job watch " + string(id)
	if o.scheduler != "" {
		text += " --scheduler " + o.scheduler
	}
	return text
}

// watch follows a job. Warnings are told once, and those in told not again.
func (o *options) watch(c *cobra.Command, client *sdk.Client, id openflow.JobID, told []string) error {
	begin := time.Now()
	warned := map[string]bool{}
	for _, text := range told {
		warned[text] = true
	}
	end, err := client.Watch(c.Context(), id, func(s sdk.Snapshot) {
		for _, text := range s.Warnings() {
			if !warned[text] {
				say(c, "warning: %s", text)
			}
			warned[text] = true
		}
		say(c, "%7s  %-8s %3d%%  %s", time.Since(begin).Round(100*time.Millisecond), s.Status(), s.Progress(), openflow.FirstLine(s.Reason()))
	})
	if errors.Is(err, context.Canceled) {
		say(c, "the job goes on; follow it again with: %s", o.watchCommandOf(id))
	}
	if err != nil {
		return err
	}
	if err := settle(c.Context(), client, id); err != nil {
		return err
	}
	if err := o.showJob(c, client, id, warned); err != nil {
		return err
	}
	if end.Status() != openflow.JobSuccess {
		return Failed("job " + string(id) + " is " + string(end.Status()))
	}
	return nil
}

// settling is how long a job that has ended is watched until this site's own tasks have: a scheduler that ends a job tells
// the tasks of it afterwards.
const settling = 15 * time.Second

// settle waits until the tasks of an ended job have ended here, too. After the time it is shown as it is.
func settle(ctx context.Context, client *sdk.Client, id openflow.JobID) error {
	for begin := time.Now(); time.Since(begin) < settling; {
		tasks, err := client.Tasks(ctx, id)
		if err != nil {
			return nil //nolint:nilerr // what is shown next tells it, where it matters
		}
		if !slices.ContainsFunc(tasks, func(t wire.TaskRow) bool { return t.PartyStatus == string(openflow.TaskRunning) }) {
			return nil
		}
		pause := time.NewTimer(200 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
	return nil
}

// jobList is the document of job list.
type jobList struct {
	Count int           `json:"count"`
	Jobs  []wire.JobRow `json:"jobs"`
}

func listCommand(o *options) *cobra.Command {
	var statuses []string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List jobs, the newest first",
		Long:  `List the jobs that this site takes part in, the newest first. A job is listed once for each role of the site.`,
		Example: `  openflow job list
  openflow job list --status failed --status canceled --limit 5`,
		Args: positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			f := sdk.JobFilter{Limit: limit}
			if limit < 1 {
				return usagef("--limit %d: show at least one job", limit)
			}
			for _, s := range statuses {
				if !openflow.JobStatus(s).Valid() {
					return usagef("--status %q is not known: use ready, waiting, running, canceled, timeout, failed or success", s)
				}
				f.Statuses = append(f.Statuses, openflow.JobStatus(s))
			}
			l, err := o.client().List(c.Context(), f)
			if err != nil {
				return err
			}
			return o.show(c, jobList{l.Count, append([]wire.JobRow{}, l.Jobs...)}, func(w io.Writer) { listJobs(w, l) })
		},
	}
	c.Flags().StringArrayVar(&statuses, "status", nil, "only jobs in this status; may be repeated")
	c.Flags().IntVar(&limit, "limit", 20, "how many to show")
	return c
}

// listJobs writes a job a line. Where several schedulers use one ID, a column says which of them each job is of.
func listJobs(w io.Writer, l sdk.JobList) {
	of := map[string]string{}
	several := slices.ContainsFunc(l.Jobs, func(j wire.JobRow) bool {
		first, seen := of[j.JobID]
		of[j.JobID] = j.SchedulerPartyID
		return seen && first != j.SchedulerPartyID
	})
	row := func(id, scheduler string, rest ...string) {
		cells := []string{id}
		if several {
			cells = append(cells, scheduler)
		}
		line(w, append(cells, rest...)...)
	}
	row("JOB", "SCHEDULER", "STATUS", "DONE", "ROLE", "WITH", "USER", "CREATED", "ELAPSED", "REASON")
	for _, j := range l.Jobs {
		row(j.JobID, j.SchedulerPartyID, j.Status, percent(j.Progress), j.Role+" "+j.PartyID, strings.Join(j.Partners, ","), j.UserName,
			moment(j.CreateTime), elapsed(j.StartTime, j.EndTime), openflow.FirstLine(j.Reason))
	}
	if more := l.Count - len(l.Jobs); more > 0 {
		line(w, "… "+strconv.Itoa(more)+" more: --limit")
	}
}

func percent(n int) string { return strconv.Itoa(n) + "%" }

// stopDocument is the document of job stop.
type stopDocument struct {
	JobID    openflow.JobID     `json:"job_id"`
	Status   openflow.JobStatus `json:"status"` // empty: it has not ended yet
	Reason   string             `json:"reason"`
	Stopping []string           `json:"stopping"` // parties that have not confirmed yet that nothing of the job runs there
}

func stopCommand(o *options) *cobra.Command {
	var wait, here bool
	c := &cobra.Command{
		Use:   "stop ID",
		Short: "End a job at all its parties",
		Long: `End a job at all its parties: running containers are stopped, and the job becomes canceled. The command tells whether
everything has stopped everywhere. A party that does not answer is asked again by the job's scheduler until it does, and the
job's reason names it meanwhile. A job that has ended stays as it is.

The job's scheduler has to agree. --here asks nobody: it ends what runs at this site and gives back what the job holds here,
at once and for good. No rerun opens the job here again. The other parties learn it from this site, as far as they listen.`,
		Example: `  openflow job stop 202601021504050000000
  openflow job stop 202601021504050000000 --wait
  openflow job stop 202601021504050000000 --here --scheduler 9999`,
		Args: positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			id := openflow.JobID(args[0])
			stop := o.client().Stop
			switch {
			case wait && here:
				return usagef("--wait and --here exclude each other: nobody else is waited for")
			case wait:
				stop = o.client().StopEverywhere
			case here:
				stop = o.client().StopHere
			}
			s, err := stop(c.Context(), id)
			if err != nil {
				return err
			}
			d := stopDocument{JobID: id, Status: s.Status, Reason: s.Reason, Stopping: []string{}}
			for _, p := range s.Stopping {
				d.Stopping = append(d.Stopping, p.String())
			}
			return o.show(c, d, func(w io.Writer) {
				if here {
					line(w, "job "+string(id)+" is "+string(d.Status)+" at this site, and what it held here is given back")
					return
				}
				line(w, stopText(d, o.watchCommandOf(id)))
			})
		},
	}
	c.Flags().BoolVar(&wait, "wait", false, "return only when everything has stopped everywhere")
	c.Flags().BoolVar(&here, "here", false, "end this site's part at once, whatever the job's scheduler says")
	return c
}

func stopText(d stopDocument, watch string) string {
	job := "job " + string(d.JobID)
	switch {
	case !d.Status.Terminal():
		return job + " is being stopped; follow it with: " + watch
	case len(d.Stopping) > 0:
		return job + " is " + string(d.Status) + "; " + strings.Join(d.Stopping, ", ") +
			" has not confirmed yet that it has stopped, and is asked until it does"
	}
	return job + " is " + string(d.Status) + ": nothing of it runs at any party"
}

// rerunDocument is the document of job rerun.
type rerunDocument struct {
	JobID  openflow.JobID     `json:"job_id"`
	Status openflow.JobStatus `json:"status"` // when the command returned; it may change a moment later
}

func rerunCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "rerun ID",
		Short: "Run again what has not succeeded of a job",
		Long: `Open a further run of a job that has ended, under the same ID. Tasks that succeeded are kept; those that failed or were
stopped become new versions. A job that runs, or has succeeded, is left alone.`,
		Example: `  openflow job rerun 202601021504050000000`,
		Args:    positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			id, client := openflow.JobID(args[0]), o.client()
			before, err := client.Job(c.Context(), id)
			if err != nil {
				return err
			}
			if err := client.Rerun(c.Context(), id); err != nil {
				return err
			}
			rows, err := client.Job(c.Context(), id)
			if err != nil {
				return err
			}
			now := sdk.Snapshot{Rows: rows}
			status, opened := now.Status(), !reflect.DeepEqual(rows, before)
			if err := o.show(c, rerunDocument{id, status}, func(w io.Writer) {
				switch {
				case status == openflow.JobSuccess:
					line(w, "job "+string(id)+" is "+string(status))
				case !status.Terminal():
					line(w, "job "+string(id)+" runs again; follow it with: "+o.watchCommandOf(id))
				case !opened:
					line(w, "job "+string(id)+" is opened again as its parties answer; follow it with: "+o.watchCommandOf(id))
				}
			}); err != nil {
				return err
			}
			if opened && status.Terminal() && status != openflow.JobSuccess {
				return Failed("job " + string(id) + " has been run again and is " + string(status) + ": " + openflow.FirstLine(now.Reason()))
			}
			return nil
		},
	}
}
