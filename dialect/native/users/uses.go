package users

import (
	"context"
	"net/http"
	"slices"
	"time"

	"openflow"
	"openflow/sdk/wire"
	"openflow/store/catalogue"
)

// usesPage is how many jobs are looked at in one query.
const usesPage = 200

// readers lists the jobs of this party that read a table by name; no more than most of them, the newest first.
func (a *api) readers(ctx context.Context, name openflow.TableName, most int) ([]openflow.JobRecord, error) {
	var found []openflow.JobRecord
	f := catalogue.JobFilter{Limit: usesPage}
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

// shown is how many of the jobs that read a table an answer lists.
const shown = 50

// every stands for the parties of a node that grants everything.
const every = "every peer, as this node was started with --grant-all"

// everybody stands for the parties that may initiate jobs here.
const everybody = "everybody who may initiate"

// tableUses tells who may read a table, and which jobs have read it or do.
func (a *api) tableUses(r *http.Request) (any, error) {
	rec, err := a.NamedTable(r)
	if err != nil {
		return nil, err
	}
	uses := wire.TableUses{Parties: []wire.Text{}, Jobs: []wire.TableReader{}}
	if a.About().GrantAll {
		uses.Parties = append(uses.Parties, every)
	}
	grants, err := a.Catalogue.Grants(r.Context(), "")
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		party := wire.Text(g.Initiator)
		if party == "" {
			party = everybody
		}
		gives := slices.ContainsFunc(g.Tables, func(t openflow.GrantedTable) bool { return t.Name == rec.Name })
		if gives && !g.Spent() && !g.Expired(time.Now()) && !slices.Contains(uses.Parties, party) {
			uses.Parties = append(uses.Parties, party)
		}
	}
	jobs, err := a.readers(r.Context(), rec.Name, shown)
	for _, j := range jobs {
		uses.Jobs = append(uses.Jobs, wire.TableReader{
			JobID: string(j.ID), Role: string(j.Party.Role), Status: string(j.Status), CreateTime: wire.Millis(j.CreateTime),
		})
	}
	return uses, err
}
