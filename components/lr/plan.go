package lr

import (
	"context"
	"math"
	"slices"
	"strings"

	"openflow"
	"openflow/components/lr/he"
	"openflow/sdk/component"
)

// Tags of the messages. Every tag is one ordered stream for the whole task.
const (
	tagRows      = "rows"       // host → guest: enrolment
	tagPlan      = "plan"       // guest → all
	tagKey       = "public_key" // arbiter → guest and hosts: one byte, 1 when it wants norms, then the key
	tagScores    = "xw_h"       // host → guest: Enc(¼z_h), then the host's part of the loss
	tagResidual  = "half_d"     // guest → host: Enc of the residual without the host's own part
	tagGradient  = "g_enc"      // guest, hosts → arbiter: sealed gradient, at the guest followed by the sealed loss
	tagOpened    = "g"          // arbiter → guest, hosts: flooded and still masked gradient
	tagNorm      = "delta_norm" // guest, hosts → arbiter: squared length of the epoch's step, for weight_diff only
	tagConverged = "converge_flag"
	tagPredict   = "predict" // guest → host, stage predict only: verdict on the enrolment
	tagPartial   = "h_pred"  // host → guest: X_h·w_h in plaintext, model after model
)

// enrolment is what a host says of its table.
type enrolment struct {
	Rows     int    `json:"rows"`
	Columns  int    `json:"columns"`
	Digest   string `json:"digest"`   // of the sample ids in order
	Validate string `json:"validate"` // the same of validate_data; empty when none is bound
	Models   int    `json:"models"`   // in the model it predicts with, or continues; 0: none
	Fault    bool   `json:"fault"`    // it cannot take part
}

// plan is what everybody agrees on before the first batch; the guest makes it.
type plan struct {
	Fault     string `json:"fault"` // why there is no training; the rest is empty then
	Rows      int    `json:"rows"`
	BatchRows int    `json:"batch_rows"`
	Epochs    int    `json:"epochs"`
	Models    int    `json:"models"`    // one, or one per class
	Columns   []int  `json:"columns"`   // the guest's, intercept included, then each host's
	Block     int    `json:"block"`     // of the ciphertexts' layout
	Precision int    `json:"precision"` // fractional bits of encoded columns
}

// span is the rows lo…hi−1 of a batch.
type span struct{ lo, hi int }

func (b span) rows() int { return b.hi - b.lo }

func (p plan) layout() he.Layout { return he.Layout{Block: p.Block} }

// withLoss reports whether the loss can be computed: its term of the second order needs a lone host.
func (p plan) withLoss() bool { return len(p.Columns) == 2 }

// batches cuts the rows. A party with c columns learns c equations of the batch's residuals, so a last batch with no
// more rows than the widest party has columns would give them away; it joins the one before it.
func (p plan) batches() []span {
	widest := slices.Max(p.Columns)
	var list []span
	for lo := 0; lo < p.Rows; lo += p.BatchRows {
		b := span{lo, min(lo+p.BatchRows, p.Rows)}
		if n := len(list); n > 0 && b.rows() <= widest {
			list[n-1].hi = b.hi
			continue
		}
		list = append(list, b)
	}
	return list
}

// validate refuses a plan under which a party would solve for the residuals, or whose numbers no guest of ours sends.
func (p plan) validate() error {
	if p.Rows < 1 || p.BatchRows < 1 || p.BatchRows > p.Rows || p.Epochs < 1 || p.Models < 1 || p.Models > maxClasses ||
		len(p.Columns) < 2 || slices.Min(p.Columns) < 0 || !p.layout().Valid() || p.Precision < 1 || p.Precision > he.MaxPrecision {
		return openflow.Errorf(openflow.CodeInvalid, "the guest's training plan is not valid").WithPublic("the guest's training plan is not valid").
			WithHint("all parties of a task must run the same implementation of the component")
	}
	if widest := slices.Max(p.Columns); p.BatchRows <= widest {
		return openflow.Errorf(openflow.CodeInvalid, "a batch of %d rows and a party with %d columns: its gradient would give the residuals away", p.BatchRows, widest).
			WithPublic("a batch must have more rows than any party has columns").
			WithHint("choose a batch_size above the number of columns of every party")
	}
	return nil
}

// query is what party number i of Columns may ask the arbiter to open for batch b.
func (p plan) query(i int, b span) he.Query {
	summed := 1 // a lone host gets the guest's vector, the guest the host's
	if hosts := len(p.Columns) - 1; hosts > 1 {
		summed = hosts
	}
	return he.Query{Layout: p.layout(), Rows: b.rows(), Columns: p.Columns[i], Summed: summed, Precision: p.Precision}
}

// scoreLimit is the greatest ¼z or residual that fits: no inner product and no loss may wrap around.
func (p plan) scoreLimit() float64 {
	rows := 0
	for _, b := range p.batches() {
		rows = max(rows, b.rows())
	}
	return min(he.Limit(rows, len(p.Columns), p.Precision), math.Sqrt((1<<30)/float64(rows)))
}

// checkScores refuses values that would wrap around.
func (p plan) checkScores(t *component.Task, values []float64) error {
	limit := p.scoreLimit()
	for _, v := range values {
		if !(math.Abs(v) <= limit) {
			return openflow.Errorf(openflow.CodeInvalid, "the scores of %s leave the range of the encryption (%g): training diverges", t.Party(), limit).
				WithPublic("training diverges").
				WithHint("scale the columns to mean 0 and standard deviation 1 before they are uploaded, or lower optimizer.optimizer_params.lr")
		}
	}
	return nil
}

// others is everybody the guest sends the plan to.
func (s *session) others() []openflow.Party { return append(slices.Clone(s.hosts), s.arbiter) }

// receivePlan waits for the guest's plan.
func (s *session) receivePlan(ctx context.Context) (plan, error) {
	var p plan
	if err := s.task.ReceiveJSON(ctx, s.guest, tagPlan, &p); err != nil {
		return plan{}, err
	}
	if p.Fault != "" {
		return plan{}, refusal("no training", p.Fault).AsConsequence()
	}
	if len(p.Columns) != len(s.hosts)+1 {
		return plan{}, openflow.Errorf(openflow.CodeInvalid, "the guest's training plan is for %d parties, not %d", len(p.Columns), len(s.hosts)+1).
			WithPublic("the guest's training plan is not for these parties")
	}
	return p, p.validate()
}

// enrol hears what the hosts have and compares it with mine. fault is why there can be no training or prediction, in
// words that every party may read.
func (s *session) enrol(ctx context.Context, mine enrolment) (hosts []enrolment, fault string, err error) {
	for _, h := range s.hosts {
		var e enrolment
		if err := s.task.ReceiveJSON(ctx, h, tagRows, &e); err != nil {
			return nil, "", err
		}
		hosts = append(hosts, e)
		if fault == "" {
			fault = s.compare(mine, h, e)
		}
	}
	return hosts, fault, nil
}

// elsewhere ends a fault that another party has.
const elsewhere = ", its own task says why"

// refusal is why there is no training or prediction, in words that every party may read.
func refusal(what, fault string) *openflow.Error {
	e := openflow.Errorf(openflow.CodeInvalid, "%s: %s", what, fault).WithPublic("%s: %s", what, fault)
	if strings.HasSuffix(fault, elsewhere) {
		return e.AsConsequence()
	}
	return e
}

func (s *session) compare(mine enrolment, host openflow.Party, e enrolment) string {
	switch {
	case e.Fault:
		return host.String() + " cannot take part" + elsewhere
	case e.Rows != mine.Rows || e.Digest != mine.Digest:
		return differentIDs("its input", s.guest, host)
	case e.Validate != mine.Validate:
		return differentIDs(validateData, s.guest, host)
	case e.Models != mine.Models:
		return "the model of " + host.String() + " does not belong to that of " + s.guest.String()
	}
	return ""
}

func differentIDs(input string, guest, host openflow.Party) string {
	return input + " does not have the same sample ids at " + guest.String() + " and " + host.String() + " (let psi come before)"
}
