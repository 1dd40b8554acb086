package application

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"openflow"
	"openflow/catalogue"
	"openflow/sdk/wire"
)

// usesPage is how many jobs are looked at in one query.
const usesPage = 200

// readers lists the jobs of this party, in these states or in any, that read a table by name; no more than most of them,
// the newest first. most of 0 means all.
func (a *API) readers(ctx context.Context, name openflow.TableName, statuses []openflow.JobStatus, most int) ([]openflow.JobRecord, error) {
	var found []openflow.JobRecord
	f := catalogue.JobFilter{Statuses: statuses, Limit: usesPage}
	for {
		jobs, next, err := a.Catalogue.JobsWhere(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			if j.DAG != nil && slices.Contains(j.DAG.Tables(j.Party), name) {
				if found = append(found, j); len(found) == most {
					return found, nil
				}
			}
		}
		if f.After = next; next == "" {
			return found, nil
		}
	}
}

// unused refuses, as CodeConflict, a table that a job reads which has not ended.
func (a *API) unused(ctx context.Context, name openflow.TableName) error {
	jobs, err := a.readers(ctx, name, []openflow.JobStatus{openflow.JobReady, openflow.JobWaiting, openflow.JobRunning}, few)
	if err != nil || len(jobs) == 0 {
		return err
	}
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = string(j.ID)
	}
	return openflow.Errorf(openflow.CodeConflict, "table %s is read by jobs that have not ended: %s", name, strings.Join(ids, ", ")).
		WithHint("wait for them, or stop them, and delete it then")
}

// Of the jobs that read a table: how many an error names, and how many an answer lists.
const few, shown = 5, 50

// tableUses tells who may read a table, and which jobs have read it or do.
func (a *API) tableUses(r *http.Request) (any, error) {
	rec, err := a.namedTable(r)
	if err != nil {
		return nil, err
	}
	uses := wire.TableUses{Parties: []wire.Text{}, Jobs: []wire.TableReader{}}
	sites, err := a.Catalogue.Sites(r.Context())
	if err != nil {
		return nil, err
	}
	for _, s := range sites {
		grants, err := a.Catalogue.Grants(r.Context(), s.Party)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(grants, func(g openflow.Grant) bool { return g.Kind == openflow.GrantTable && g.Table == rec.Name }) {
			uses.Parties = append(uses.Parties, wire.Text(s.Party))
		}
	}
	jobs, err := a.readers(r.Context(), rec.Name, nil, shown)
	for _, j := range jobs {
		uses.Jobs = append(uses.Jobs, wire.TableReader{
			JobID: string(j.ID), Role: string(j.Party.Role), Status: string(j.Status), CreateTime: wire.Millis(j.CreateTime),
		})
	}
	return uses, err
}
