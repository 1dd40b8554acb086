package lr

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	tagAgreed    = "agreed"     // host → arbiter: agreement to the plan
	tagStart     = "start"      // arbiter → guest and hosts: start
	tagKey       = "public_key" // arbiter → guest and hosts: the key of the next round
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
	Ratio    int    `json:"ratio"`    // rows of a batch for each column that its policy asks for; training only
	Fault    bool   `json:"fault"`    // it cannot take part
}

// plan is what everybody agrees on before the first batch; the guest makes it, and every other party checks it against
// what it knows itself.
type plan struct {
	Fault     string   `json:"fault"` // why there is no training; the rest is empty then
	Rows      int      `json:"rows"`
	BatchRows int      `json:"batch_rows"`
	LeastRows int      `json:"least_rows"` // a last batch with fewer joins the one before
	Epochs    int      `json:"epochs"`
	Models    int      `json:"models"`    // one, or one per class
	Columns   []int    `json:"columns"`   // the guest's, intercept included, then each host's
	Intercept bool     `json:"intercept"` // the guest's last column is one of ones
	Block     int      `json:"block"`     // of the ciphertexts' layout
	Precision int      `json:"precision"` // fractional bits of encoded columns
	Settings  settings `json:"settings"`  // of the guest's task
}

// agreement is a host's word to the arbiter that it trains by this plan. The arbiter starts when all hosts have the plan
// that it has itself, so that nobody is told another number of rows or columns.
type agreement struct {
	Fault  bool   `json:"fault"` // it refuses
	Digest string `json:"digest"`
}

// start is the arbiter's word that everybody agrees.
type start struct {
	Fault string `json:"fault"` // why there is no training
	Norms bool   `json:"norms"` // the arbiter wants the length of every epoch's step
}

// span is the rows lo…hi−1 of a batch.
type span struct{ lo, hi int }

func (b span) rows() int { return b.hi - b.lo }

func (p plan) layout() he.Layout { return he.Layout{Block: p.Block} }

// withLoss reports whether the loss can be computed: its term of the second order needs a lone host.
func (p plan) withLoss() bool { return len(p.Columns) == 2 }

// features is the number of feature columns of party number i.
func (p plan) features(i int) int {
	if i == 0 && p.Intercept {
		return p.Columns[0] - 1
	}
	return p.Columns[i]
}

// batches cuts the rows. A party with c columns learns c equations of the batch's residuals, so a short last batch would
// give them away; it joins the one before it.
func (p plan) batches() []span {
	var list []span
	for lo := 0; lo < p.Rows; lo += p.BatchRows {
		b := span{lo, min(lo+p.BatchRows, p.Rows)}
		if n := len(list); n > 0 && b.rows() < min(p.LeastRows, p.BatchRows) {
			list[n-1].hi = b.hi
			continue
		}
		list = append(list, b)
	}
	return list
}

// fewest is the number of rows of the smallest batch.
func (p plan) fewest() int {
	few := p.Rows
	for _, b := range p.batches() {
		few = min(few, b.rows())
	}
	return few
}

// A batch takes rounds, each with a key of its own, so that no key opens more values than it may. A round exchanges the
// vectors under its key and opens the next perRound columns of every party.
func (p plan) perRound() int { return he.ColumnsPerKey(len(p.Columns), p.Precision) }

func (p plan) rounds() int { return max(1, (slices.Max(p.Columns)+p.perRound()-1)/p.perRound()) }

// share is which columns of party number i round r opens: lo…hi−1.
func (p plan) share(i, r int) (lo, hi int) {
	return min(p.Columns[i], r*p.perRound()), min(p.Columns[i], (r+1)*p.perRound())
}

// validate refuses a plan under which a party would solve for the residuals, or whose numbers no guest of ours sends.
func (p plan) validate() error {
	if p.Rows < 1 || p.Rows > maxRows || p.BatchRows < 1 || p.BatchRows > p.Rows || p.Rows/p.BatchRows > maxBatches ||
		p.Epochs < 1 || p.Models < 1 || p.Models > maxClasses || len(p.Columns) < 2 || slices.Min(p.Columns) < 0 ||
		slices.Max(p.Columns) > maxColumns || p.Intercept && p.Columns[0] < 1 ||
		!p.layout().Valid() || p.Precision < 1 || p.Precision > he.MaxPrecision {
		return openflow.Errorf(openflow.CodeInvalid, "the guest's training plan is not valid").WithPublic("the guest's training plan is not valid").
			WithHint("all parties of a task must run the same implementation of the component")
	}
	if widest := slices.Max(p.Columns); p.fewest() <= widest {
		columns := 0
		for i := range p.Columns {
			columns = max(columns, p.features(i))
		}
		text := "a batch of %d rows is too few for a party with %d columns: its gradient would give the residuals away"
		return openflow.Errorf(openflow.CodeRejected, text, p.fewest(), columns).WithPublic(text, p.fewest(), columns).
			WithHint("%s", p.enough(rowsFor(columns, openflow.DefaultPolicy().CoordinatedLR.RowsPerColumn)))
	}
	return nil
}

// digest names the plan.
func (p plan) digest() (string, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInternal, "training plan: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// query is what party number i of Columns may ask the arbiter to open for batch b in round r.
func (p plan) query(i int, b span, r int) he.Query {
	summed := 1 // a lone host gets the guest's vector, the guest the host's
	if hosts := len(p.Columns) - 1; hosts > 1 {
		summed = hosts
	}
	lo, hi := p.share(i, r)
	return he.Query{Layout: p.layout(), Rows: b.rows(), Columns: hi - lo, Summed: summed, Precision: p.Precision}
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

// maxLoss is where a party's part of the loss of a batch would wrap around in the encryption.
const maxLoss = 1 << 30

// checkLoss refuses a part of the loss that would wrap around: the penalty of large coefficients can be that large.
func checkLoss(t *component.Task, loss float64) error {
	if math.Abs(loss) <= maxLoss {
		return nil
	}
	return openflow.Errorf(openflow.CodeInvalid, "the loss of %s leaves the range of the encryption (%g): training diverges", t.Party(), float64(maxLoss)).
		WithPublic("training diverges").
		WithHint("lower optimizer.alpha or optimizer.optimizer_params.lr, or start with smaller coefficients (init_param)")
}

// others is everybody the guest sends the plan to.
func (s *session) others() []openflow.Party { return append(slices.Clone(s.hosts), s.arbiter) }

// receivePlan waits for the guest's plan.
func (s *session) receivePlan(ctx context.Context) (plan, error) {
	var p plan
	if err := s.task.ReceiveJSON(ctx, s.guest, tagPlan, &p); err != nil {
		return plan{}, err
	}
	return p, nil
}

// checkPlan refuses a plan that is not the training that this party was asked for, or that its policy forbids. given are
// its parameters as submitted, own those that it trains with.
func (s *session) checkPlan(p plan, given, own parameters) error {
	if len(p.Columns) != len(s.hosts)+1 {
		return openflow.Errorf(openflow.CodeInvalid, "the guest's training plan is for %d parties, not %d", len(p.Columns), len(s.hosts)+1).
			WithPublic("the guest's training plan is not for these parties")
	}
	if err := p.validate(); err != nil {
		return err
	}
	different := given.settings().differences(p.Settings)
	if own.Epochs != p.Epochs {
		different = append(different, "epochs")
	}
	if own.batchRows(p.Rows) != p.BatchRows {
		different = append(different, "batch_size")
	}
	if own.fractionBits(he.MaxPrecision) != p.Precision {
		different = append(different, "floating_point_precision")
	}
	if len(different) > 0 {
		slices.Sort(different)
		text := "the guest's training plan and the parameters of %s differ in %s"
		args := []any{s.task.Party(), strings.Join(slices.Compact(different), ", ")}
		return openflow.Errorf(openflow.CodeRejected, text, args...).WithPublic(text, args...).
			WithHint("give all parties of the task the same parameters")
	}
	return s.checkRows(p)
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
	case e.Rows < 0 || e.Rows > maxRows || e.Columns < 0 || e.Columns > maxColumns || e.Ratio < 0 || e.Ratio > maxColumns:
		return "what " + host.String() + " says of its table is not valid"
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
