package users

import (
	"net/http"
	"slices"
	"strconv"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

func (a *api) sitePolicy(*http.Request) (any, error) { return a.Policy(), nil }

// listScores shows what partners were told about this site's tables: of all of them, or of one.
func (a *api) listScores(r *http.Request) (any, error) {
	if err := reply.Identifiers(r, "party_id"); err != nil {
		return nil, err
	}
	list, err := a.Catalogue.Scores(r.Context(), openflow.PartyID(r.URL.Query().Get("party_id")), a.Policy().Policy.CoordinatedLR.ScoreMemory)
	out := make([]wire.ScoreAccount, len(list))
	for i, s := range list {
		out[i] = encodeScores(s)
	}
	return out, err
}

// raiseScores sets how many score vectors a partner may have about the content of a table; 0 takes that back.
func (a *api) raiseScores(r *http.Request) (any, error) {
	return a.onScores(r, func(partner openflow.PartyID, content string, to int) error {
		return a.Catalogue.RaiseScores(r.Context(), partner, content, to)
	})
}

// resetScores forgets what a partner was told about the content of a table.
func (a *api) resetScores(r *http.Request) (any, error) {
	return a.onScores(r, func(partner openflow.PartyID, content string, _ int) error {
		return a.Catalogue.ResetScores(r.Context(), partner, content)
	})
}

func (a *api) onScores(r *http.Request, do func(partner openflow.PartyID, content string, to int) error) (any, error) {
	var b wire.ScoreChange
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	partner := openflow.PartyID(b.PartyID)
	if err := openflow.CheckIdentifier("party_id", string(partner)); err != nil {
		return nil, err
	}
	content, err := a.content(r, partner, b)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	if err := do(partner, content, b.To); err != nil {
		return nil, err
	}
	return nil, a.Audit(r, "scores", string(partner)+" "+b.Namespace+"/"+b.Name+" "+content+" "+strconv.Itoa(b.To))
}

// content is what the change is about: that of a table here, or that of an account, whose table may be gone.
func (a *api) content(r *http.Request, partner openflow.PartyID, b wire.ScoreChange) (string, error) {
	if b.Object == "" {
		t, err := a.Catalogue.Table(r.Context(), openflow.TableName{Namespace: b.Namespace, Name: b.Name})
		return t.Object, err
	}
	list, err := a.Catalogue.Scores(r.Context(), partner, a.Policy().Policy.CoordinatedLR.ScoreMemory)
	if err == nil && !slices.ContainsFunc(list, func(s openflow.ScoreAccount) bool { return s.Table == b.Object }) {
		err = openflow.Errorf(openflow.CodeNotFound, "no score vectors were told to party %s about content %s", partner, b.Object).
			WithHint("openflow scores list shows what was told")
	}
	return b.Object, err
}

// encodeScores renders an account.
func encodeScores(a openflow.ScoreAccount) wire.ScoreAccount {
	out := wire.ScoreAccount{
		PartyID: string(a.Partner), Object: a.Table, Tables: []wire.ScoredTable{}, Columns: a.Columns, Vectors: a.Vectors,
		Limit: a.Limit, Raised: a.Raised, LatestTime: wire.Millis(a.Latest), FreesTime: wire.Millis(a.Frees),
	}
	for _, n := range a.Names {
		out.Tables = append(out.Tables, wire.ScoredTable(n))
	}
	return out
}
