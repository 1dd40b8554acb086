package base

import (
	"context"
	"slices"

	"openflow"
	"openflow/site/lineage"
)

// SpendScores counts what a container is about to tell a partner about this site's columns, or refuses it. Errors:
// CodeInvalid, CodeRejected.
func (s *Site) SpendScores(ctx context.Context, t openflow.TaskRecord, to openflow.Party, columns, vectors int) error {
	if !slices.Contains(t.Spec.Parties, to) {
		return openflow.Errorf(openflow.CodeInvalid, "%s takes no part in %s", to, t.Key)
	}
	origins, err := lineage.OfRun(ctx, s.Store, t)
	if err != nil {
		return err
	}
	if len(origins) == 0 {
		return openflow.Errorf(openflow.CodeRejected, "%s reads no table whose score vectors could be counted", t.Key)
	}
	pins, err := s.Store.Pins(ctx, t.Key.JobKey())
	if err != nil {
		return err
	}
	err = s.Store.SpendScores(ctx, openflow.ScoreSpend{
		Run: t.Key, To: to.ID, Tables: origins, Names: namesOf(pins), Columns: columns, Vectors: vectors,
	}, s.Policy.CoordinatedLR.ScoreMemory)
	return openflow.About(openflow.AboutTask, err)
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
