package base

import (
	"net/http"
	"slices"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
	"openflow/site/lineage"
)

// spendScores counts what a container is about to tell a partner about this site's columns, or refuses it.
func (a *API) spendScores(r *http.Request) (any, error) {
	var b wire.ScoreSpend
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	t := task(r)
	if err := own(t, string(b.RunID)); err != nil {
		return nil, err
	}
	to := openflow.Party{Role: openflow.Role(b.Role), ID: openflow.PartyID(b.PartyID)}
	if !slices.Contains(t.Spec.Parties, to) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s takes no part in %s", to, t.Key)
	}
	origins, err := lineage.OfRun(r.Context(), a.Store, t)
	if err != nil {
		return nil, err
	}
	if len(origins) == 0 {
		return nil, openflow.Errorf(openflow.CodeRejected, "%s reads no table whose score vectors could be counted", t.Key)
	}
	pins, err := a.Store.Pins(r.Context(), t.Key.JobKey())
	if err != nil {
		return nil, err
	}
	err = a.Store.SpendScores(r.Context(), openflow.ScoreSpend{
		Run: t.Key, To: to.ID, Tables: origins, Names: namesOf(pins), Columns: b.Columns, Vectors: b.Vectors,
	}, a.Policy.CoordinatedLR.ScoreMemory)
	return nil, openflow.About(openflow.AboutTask, err)
}

// namesOf is what a job calls the tables that it reads, by the content that they come from.
func namesOf(pins []openflow.Pin) map[string]openflow.TableName {
	names := map[string]openflow.TableName{}
	for _, p := range pins {
		if p.Kind != openflow.InputData {
			continue
		}
		for _, content := range p.Origins {
			names[content] = p.Table
		}
	}
	return names
}
