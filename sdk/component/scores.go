package component

import (
	"context"
	"net/http"

	"openflow"
)

// SpendScores asks this party's node whether the run may tell that many score vectors to a party, in plaintext. Each
// is a linear combination of that many of this party's feature columns, with one value a row. It must be called before
// the first of them leaves, once for each party that receives any, with all vectors of the run.
//
// Who has as many score vectors as there are columns has the columns. The node counts them by the content of the tables
// that were uploaded and by party, over all jobs (docs/policy.md, coordinated_lr.score_memory). A repeat by the same
// run counts once. With one column, the first run is let through, and the component must warn that the column is given
// away.
//
// Errors: CodeRejected when the party would have as many as there are columns; the text is for this party's operator
// and names the command that allows it, and other parties read the public part only. CodeInvalid: to takes no part in
// the task, or a number is not positive.
func (t *Task) SpendScores(ctx context.Context, to openflow.Party, columns, vectors int) error {
	body := map[string]any{"role": to.Role, "party_id": to.ID, "columns": columns, "vectors": vectors}
	err := t.node.call(ctx, request{method: http.MethodPost, path: "/openflow/v1/container/scores/spend", json: body}, nil)
	switch openflow.CodeOf(err) {
	case "":
		return nil
	case openflow.CodeRejected:
		return openflow.Errorf(openflow.CodeRejected, "scores for %s: %w", to, err).
			WithPublic("party %s tells no more score vectors about these rows: as many as it has columns would give the columns away", t.Party().ID)
	}
	return openflow.Errorf(openflow.CodeOf(err), "scores for %s: %w", to, err)
}
