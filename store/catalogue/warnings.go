package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"openflow"
)

// A container chooses what it warns of, so both are bounded.
const (
	maxWarnings     = 50
	maxWarningBytes = 1 << 10
)

// AddTaskWarning keeps what a task warns its users of. The same text again changes nothing, and neither does more than a
// task may say. CodeNotFound: there is no such task.
func (c *Catalogue) AddTaskWarning(ctx context.Context, k openflow.TaskKey, text string) error {
	if len(text) > maxWarningBytes {
		text = strings.ToValidUTF8(text[:maxWarningBytes], "")
	}
	err := c.write(ctx, func(t *tx) error {
		var stored string
		if err := t.one(ctx, `select warnings from task where `+taskKey, taskArgs(k)...).Scan(&stored); err != nil {
			return err
		}
		warnings, err := decodeWarnings(stored)
		if err != nil || slices.Contains(warnings, text) || len(warnings) >= maxWarnings {
			return err
		}
		if stored, err = encodeWarnings(append(warnings, text)); err != nil {
			return err
		}
		_, err = t.exec(ctx, `update task set warnings = $2, update_time = $3 where `+taskKey, taskArgs(k, stored, c.stamp())...)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return notFound("%s does not exist here", k)
	}
	return classify("warn of "+k.String(), err)
}

// WithTaskWarnings gives the jobs with the warnings of their tasks behind their own, each as "task: text". Of a task
// that ran again, the latest version counts.
func (c *Catalogue) WithTaskWarnings(ctx context.Context, jobs []openflow.JobRecord) ([]openflow.JobRecord, error) {
	at := make(map[openflow.JobKey]int, len(jobs))
	ids := make([]openflow.JobID, 0, len(jobs))
	for i, j := range jobs {
		at[j.Key()] = i
		ids = append(ids, j.ID)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return jobs, nil
	}
	w := TaskFilter{LatestOnly: true}.where()
	w.add("warnings <> ''")
	in(w, "job_id", ids)
	all := slices.Clone(jobs)
	err := c.each(ctx, "select "+taskColumns.names+" from task"+w.String()+" order by create_time, run_id", w.args, func(r row) error {
		t, err := scanTask(r)
		if err != nil {
			return err
		}
		if i, ok := at[t.Key.JobKey()]; ok {
			for _, text := range t.Warnings {
				all[i].Warnings = append(slices.Clip(all[i].Warnings), string(t.Key.Task)+": "+text)
			}
		}
		return nil
	})
	return all, classify("read the warnings of jobs", err)
}

// JobWarnings lists what the users of this site should know of a job: its own warnings and those of its tasks here.
func (c *Catalogue) JobWarnings(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) ([]string, error) {
	jobs, err := c.JobRows(ctx, scheduler, id)
	if err == nil {
		jobs, err = c.WithTaskWarnings(ctx, jobs)
	}
	var all []string
	for _, j := range jobs {
		for _, text := range j.Warnings {
			if !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return all, err
}

// AddJobWarnings adds what the users of a job should know to every row of it here, one for each role that this site
// plays. Texts that are there already are left out.
func (c *Catalogue) AddJobWarnings(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID, texts []string) error {
	jobs, err := c.JobRows(ctx, scheduler, id)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		warnings := slices.Clone(j.Warnings)
		for _, text := range texts {
			if !slices.Contains(warnings, text) {
				warnings = append(warnings, text)
			}
		}
		stored, err := encodeWarnings(warnings)
		if err != nil {
			return err
		}
		if _, err := c.exec(ctx, `update job set warnings = $5, update_time = $6 where `+jobKey, keyArgs(j.Key(), stored, c.stamp())...); err != nil {
			return classify("warn of "+j.Key().String(), err)
		}
	}
	return nil
}

func encodeWarnings(list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	return encode("the warnings", list)
}

func decodeWarnings(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	var list []string
	err := decode("the warnings", text, &list)
	return list, err
}
