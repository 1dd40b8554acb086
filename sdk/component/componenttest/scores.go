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
		ID      openflow.RunID   `json:"execution_id"`
		To      openflow.PartyID `json:"party_id"`
		Columns int              `json:"columns"`
		Vectors int              `json:"vectors"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.ID != caller || body.Columns < 1 || body.Vectors < 1 {
		answer(w, 5001, fmt.Sprintf("Invalid parameter: %v", err), nil)
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
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{ // the caller may be gone
				"code": 1002, "message": message, "error": map[string]any{"code": openflow.CodeRejected, "message": message, "hint": "raise the limit"},
			})
			return
		}
		spent[body.To] = body.Vectors
	}
	answer(w, 0, "success", nil)
}
