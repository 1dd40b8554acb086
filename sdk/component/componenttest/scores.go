package componenttest

import (
	"encoding/json"
	"fmt"
	"net/http"

	"openflow"
)

// spendScores keeps the ledger of a node that has one uploaded table for each party.
func (n *Node) spendScores(w http.ResponseWriter, r *http.Request, caller openflow.RunID) {
	var body struct {
		To      openflow.PartyID `json:"party_id"`
		Columns int              `json:"columns"`
		Vectors int              `json:"vectors"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Columns < 1 || body.Vectors < 1 {
		refuse(w, openflow.CodeInvalid, fmt.Sprintf("the body names no receiver or no vectors: %v", err), "")
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	before, spent := n.scores[caller], n.results[caller].Scores
	if body.Vectors > spent[body.To] {
		told, raised := before.Told[body.To], before.Raised[body.To]
		if !openflow.ScoresAllowed(body.Columns, raised, told, body.Vectors) {
			message := fmt.Sprintf("party %s may have %d score vectors over %d columns, has had %d, and this run would tell %d more",
				body.To, openflow.ScoreLimit(body.Columns, raised), body.Columns, told, body.Vectors)
			refuse(w, openflow.CodeRejected, message, "raise the limit")
			return
		}
		spent[body.To] = body.Vectors
	}
	done(w, nil)
}
