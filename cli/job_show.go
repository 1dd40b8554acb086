package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

// jobDocument is a job as job show and job watch print it.
type jobDocument struct {
	JobID    openflow.JobID     `json:"job_id"`
	Status   openflow.JobStatus `json:"status"`
	Progress int                `json:"progress"` // percent
	Reason   string             `json:"reason"`
	Warnings []string           `json:"warnings"` // of the job and of its tasks here
	Jobs     []wire.JobRow      `json:"jobs"`     // one for each role of this site
	Tasks    []wire.TaskRow     `json:"tasks"`    // the latest version of each, of this site

	told map[string]bool // warnings that were shown before
}

func showCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a job and each of its tasks",
		Long: `Show a job and each of its tasks at this site, with the reason of what waits or has failed, and warnings of results that
are of little use. HERE is the task's status at this site, ALL that of all its parties together.`,
		Example: `  openflow job show 202601021504050000000
  openflow job show 202601021504050000000 -o json | jq '.tasks[] | {task_name, party_status, reason}'`,
		Args: positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.showJob(c, o.client(), openflow.JobID(args[0]), nil)
		},
	}
}

// showJob shows a job. As text it leaves out warnings that have been told already.
func (o *options) showJob(c *cobra.Command, client *sdk.Client, id openflow.JobID, told map[string]bool) error {
	d, err := describe(c.Context(), client, id)
	if err != nil {
		return err
	}
	d.told = told
	if err := o.show(c, d, d.summary); err != nil || o.output == outputJSON {
		return err
	}
	return written(d.reports(c.OutOrStdout()))
}

func describe(ctx context.Context, client *sdk.Client, id openflow.JobID) (jobDocument, error) {
	rows, err := client.Job(ctx, id)
	if err != nil {
		return jobDocument{}, err
	}
	tasks, err := client.Tasks(ctx, id)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return jobDocument{}, err
	}
	s := sdk.Snapshot{Rows: rows}
	return jobDocument{
		JobID: id, Status: s.Status(), Progress: s.Progress(), Reason: s.Reason(), Warnings: s.Warnings(), Jobs: rows,
		Tasks: inOrder(rows[0], tasks),
	}, nil
}

// inOrder sorts tasks as they run: by the DAG of the job, as far as it can be read.
func inOrder(job wire.JobRow, tasks []wire.TaskRow) []wire.TaskRow {
	sorted := append([]wire.TaskRow{}, tasks...)
	dag, err := wire.ReceiveDAG(job.DAG)
	if err != nil {
		return sorted // an order is a courtesy
	}
	order, err := dag.Order()
	if err != nil {
		return sorted
	}
	slices.SortStableFunc(sorted, func(a, b wire.TaskRow) int {
		return slices.Index(order, openflow.TaskName(a.TaskName)) - slices.Index(order, openflow.TaskName(b.TaskName))
	})
	return sorted
}

func (d jobDocument) summary(w io.Writer) {
	first := d.Jobs[0]
	var roles, parties []string
	for _, j := range d.Jobs {
		roles = append(roles, j.Role+" "+j.PartyID)
	}
	for _, p := range wire.DecodeParties(first.Parties) {
		parties = append(parties, p.String())
	}
	line(w, "job", string(d.JobID))
	line(w, "status", string(d.Status)+" ("+percent(d.Progress)+")")
	if d.Reason != "" {
		line(w, "reason", d.Reason)
	}
	line(w, "here", strings.Join(roles, ", "))
	line(w, "parties", strings.Join(parties, ", "))
	line(w, "submitted", strings.TrimSpace("by party "+first.InitiatorPartyID+" "+first.UserName)+", scheduled by party "+first.SchedulerPartyID)
	if first.Purpose != "" {
		line(w, "purpose", first.Purpose)
	}
	if !first.Signed {
		line(w, "authority", "party "+first.InitiatorPartyID+" has not signed the job: its scheduler says whose it is")
	}
	line(w, "created", moment(first.CreateTime))
	line(w, "elapsed", elapsed(first.StartTime, first.EndTime))
	d.models(w)
	d.pins(w)
	if len(d.Tasks) == 0 {
		return
	}
	fmt.Fprintln(w)
	line(w, "TASK", "COMPONENT", "ROLE", "HERE", "ALL", "ELAPSED", "REASON")
	for _, t := range d.Tasks {
		line(w, versioned(t), t.Component, t.Role+" "+t.PartyID, t.PartyStatus, t.Status, elapsed(t.StartTime, t.EndTime),
			openflow.FirstLine(t.Reason, t.ErrorReport))
	}
}

// models shows the models that the job has made at this site, each once; most components make none.
func (d jobDocument) models(w io.Writer) {
	var made []string
	for _, j := range d.Jobs {
		for _, m := range j.Models {
			if name := m.TaskName + "." + m.OutputKey; !slices.Contains(made, name) {
				made = append(made, name)
			}
		}
	}
	if len(made) > 0 {
		line(w, "model", d.Jobs[0].ModelID+" version "+d.Jobs[0].ModelVersion+": "+strings.Join(made, ", "))
	}
}

// pins shows what the job reads at this site, as it was when the job was created.
func (d jobDocument) pins(w io.Writer) {
	header := false
	for _, j := range d.Jobs {
		for _, p := range j.Pins {
			if !header {
				fmt.Fprintln(w)
				line(w, "READS", "AS", "FOR", "ROWS", "SHA-256")
				header = true
			}
			line(w, p.Source(), j.Role+" "+j.PartyID, strings.TrimSpace(p.TaskName+" "+p.InputKey), count(p.Count), p.Digest)
		}
	}
}

func count(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func versioned(t wire.TaskRow) string {
	if t.TaskVersion == 0 {
		return t.TaskName
	}
	return fmt.Sprintf("%s (version %d)", t.TaskName, t.TaskVersion)
}

// reports shows what algorithms have told of their failures, when it is more than the line in the table, and warnings.
func (d jobDocument) reports(w io.Writer) error {
	for _, text := range d.Warnings {
		if d.told[text] {
			continue
		}
		if _, err := fmt.Fprintf(w, "\nwarning: %s\n", openflow.Line(text)); err != nil {
			return err
		}
	}
	for _, t := range d.Tasks {
		report := strings.TrimSpace(t.ErrorReport)
		if report == "" || report == openflow.FirstLine(t.Reason, t.ErrorReport) {
			continue
		}
		_, err := fmt.Fprintf(w, "\ntask %s (%s %s) reported:\n  %s\n", openflow.Line(t.TaskName), openflow.Line(t.Role), openflow.Line(t.PartyID),
			strings.ReplaceAll(openflow.Readable(report), "\n", "\n  "))
		if err != nil {
			return err
		}
	}
	return nil
}

// taskChoice selects tasks of a job at this site.
type taskChoice struct{ task, role, party string }

func (t *taskChoice) flags(c *cobra.Command, task string) {
	c.Flags().StringVar(&t.task, "task", "", task)
	c.Flags().StringVar(&t.role, "role", "", "only as this role, where the site plays several")
	c.Flags().StringVar(&t.party, "party", "", "only as this party")
}

// find returns the tasks that fit, at least one.
func (t taskChoice) find(ctx context.Context, client *sdk.Client, id openflow.JobID) ([]wire.TaskRow, error) {
	all, err := client.Tasks(ctx, id)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil, openflow.Errorf(openflow.CodeNotFound, "this site has no tasks of job %s", id).WithHint("openflow job list shows its jobs")
	}
	if err != nil {
		return nil, err
	}
	var fit []wire.TaskRow
	var names []string
	for _, row := range all {
		names = append(names, row.TaskName+" ("+row.Role+" "+row.PartyID+")")
		if same(t.task, row.TaskName) && same(t.role, row.Role) && same(t.party, row.PartyID) {
			fit = append(fit, row)
		}
	}
	if len(fit) == 0 {
		return nil, openflow.Errorf(openflow.CodeNotFound, "job %s has no task %s here", id,
			strings.TrimSpace(fmt.Sprintf("%q %s %s", t.task, t.role, t.party))).WithHint("its tasks: %s", strings.Join(names, ", "))
	}
	return fit, nil
}

func same(want, have string) bool { return cmp.Or(want, have) == have }

func keyOf(t wire.TaskRow) openflow.TaskKey {
	return openflow.TaskKey{
		Scheduler: openflow.PartyID(t.SchedulerPartyID), Job: openflow.JobID(t.JobID), Task: openflow.TaskName(t.TaskName), Version: t.TaskVersion,
		Party: openflow.Party{Role: openflow.Role(t.Role), ID: openflow.PartyID(t.PartyID)},
	}
}
