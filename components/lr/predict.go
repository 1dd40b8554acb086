package lr

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/tables"
)

// predict is stage predict: the hosts give the guest their partial scores in plaintext, as upstream does. An arbiter
// among the parties has nothing to do.
//
// Spec: fate-components §6.1 (Predict protocol).
func (s *session) predict(ctx context.Context) error {
	switch s.task.Role() {
	case openflow.RoleGuest:
		return s.predictGuest(ctx)
	case openflow.RoleHost:
		return s.predictHost(ctx)
	default:
		return nil
	}
}

// readPrediction reads test_data and the coefficients of the model for it, one vector per model.
func (s *session) readPrediction(ctx context.Context) (*rows, meta, [][]float64, error) {
	m, list, err := loadModel(ctx, s.task, inputModel)
	if err != nil {
		return nil, meta{}, nil, err
	}
	r, err := s.read(ctx, testData)
	if err != nil {
		return nil, meta{}, nil, err
	}
	var weights [][]float64
	for _, e := range list {
		w, _, err := e.coefficients(s.task, r.names)
		if err != nil {
			return nil, meta{}, nil, err
		}
		weights = append(weights, w)
	}
	if err := warnOfFarRows(ctx, s.task, r, m.Meta.Columns); err != nil {
		return nil, meta{}, nil, err
	}
	return r, m.Meta, weights, nil
}

// verdict is the guest's answer to the hosts' enrolments.
type verdict struct {
	Fault string `json:"fault"`
}

func (s *session) predictGuest(ctx context.Context) error {
	began := time.Now()
	r, m, weights, err := s.readPrediction(ctx)
	fault := ""
	if err != nil {
		fault = "the input of " + s.guest.String() + " is not usable" + elsewhere
	} else {
		mine := enrolmentOf(r, nil)
		mine.Models = len(weights)
		if _, fault, err = s.enrol(ctx, mine); err != nil {
			return err
		}
	}
	for _, h := range s.hosts {
		if sendErr := s.task.SendJSON(ctx, h, tagPredict, verdict{fault}); sendErr != nil && err == nil {
			err = sendErr
		}
	}
	switch {
	case err != nil:
		return err
	case fault != "":
		return refusal("no prediction", fault)
	case m.Threshold == nil || m.Labels.count() < 2 || len(weights) != len(m.Labels.positives()):
		return openflow.Errorf(openflow.CodeInvalid, "input_model of %s lacks its labels or threshold", s.task.Key()).
			WithPublic("input_model lacks its labels or threshold")
	}
	scores, err := s.collect(ctx, r, weights)
	if err != nil {
		return err
	}
	s.task.Log().Info("predicted", "rows", r.count(), "columns", len(r.columns), "models", len(weights), "seconds", seconds(began))
	return s.task.SaveTable(ctx, testOutput, predictor{classes: m.Labels, threshold: *m.Threshold, kind: "test_set"}.frame(r, scores))
}

func (s *session) predictHost(ctx context.Context) error {
	began := time.Now()
	r, _, weights, err := s.readPrediction(ctx)
	if err == nil {
		err = s.spendScores(ctx, r, len(weights))
	}
	mine := enrolment{Fault: true}
	if err == nil {
		mine = enrolmentOf(r, nil)
		mine.Models = len(weights)
	}
	if sendErr := s.task.SendJSON(ctx, s.guest, tagRows, mine); err == nil {
		err = sendErr
	}
	if err != nil {
		return err
	}
	var v verdict
	if err := s.task.ReceiveJSON(ctx, s.guest, tagPredict, &v); err != nil {
		return err
	}
	if v.Fault != "" {
		return endedBy(s.guest, "no prediction", v.Fault)
	}
	if err := s.sendPartial(ctx, r, weights); err != nil {
		return err
	}
	s.task.Log().Info("partial scores sent", "rows", r.count(), "columns", len(r.columns), "models", len(weights), "seconds", seconds(began))
	return nil
}

// sendPartial sends X·w of every model to the guest, rows in sorted order.
func (s *session) sendPartial(ctx context.Context, r *rows, weights [][]float64) error {
	var all []float64
	for _, w := range weights {
		all = append(all, r.score(w, 0, r.count())...)
	}
	return s.task.Send(ctx, s.guest, tagPartial, encodeNumbers(all))
}

// predictor turns scores into a prediction frame.
type predictor struct {
	classes   classes
	threshold float64
	kind      string // train_set, validate_set or test_set
}

// collect adds the hosts' partial scores to the guest's: for each model the scores of the sorted rows.
func (s *session) collect(ctx context.Context, r *rows, weights [][]float64) ([][]float64, error) {
	n := r.count()
	sums := make([][]float64, len(weights))
	for k, w := range weights {
		sums[k] = r.score(w, 0, n)
	}
	for _, h := range s.hosts {
		message, err := s.task.Receive(ctx, h, tagPartial)
		if err != nil {
			return nil, err
		}
		partial, err := decodeNumbers(message, n*len(weights))
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeOf(err), "partial scores of %s: %w", h, err)
		}
		for i, v := range partial {
			sums[i/n][i%n] += v
		}
	}
	return sums, nil
}

// probabilities turns the scores of the sorted rows into probabilities in the row order of the table.
func (r *rows) probabilities(scores [][]float64) [][]float64 {
	out := make([][]float64, len(scores))
	for k := range scores {
		out[k] = make([]float64, r.count())
		for i, z := range scores[k] {
			out[k][r.order[i]] = 1 / (1 + math.Exp(-z))
		}
	}
	return out
}

// frame is the prediction frame. Unlike upstream's, predict_result is the value of the class as the label has it, and not
// its index: whoever compares it with the label compares like with like.
//
// Spec: fate-components §1.8.
func (p predictor) frame(r *rows, scores [][]float64) *tables.Frame {
	in, n, probability := r.frame, r.count(), r.probabilities(scores)
	score, result := make([]float64, n), make([]int, n)
	detail, kind := make([]string, n), make([]string, n)
	values := make([]float64, p.classes.count())
	for i := range n {
		if len(probability) == 1 {
			score[i] = probability[0][i]
			if score[i] > p.threshold {
				result[i] = 1
			}
			values[0], values[1] = 1-score[i], score[i]
		} else {
			score[i] = -1
			for k := range probability {
				values[k] = probability[k][i]
				if values[k] > score[i] {
					score[i], result[i] = values[k], k
				}
			}
		}
		detail[i], kind[i] = p.detail(values), p.kind
	}
	predicted := p.classes.column(result)
	out := &tables.Frame{
		Schema: tables.Schema{
			SampleID: in.Schema.SampleID, MatchID: in.Schema.MatchID, Site: in.Schema.Site,
			Features: []tables.Column{
				{Name: "predict_score", DType: tables.Float64}, {Name: "predict_result", DType: predicted.DType},
				{Name: "predict_detail", DType: tables.Object}, {Name: "type", DType: tables.Object},
			},
		},
		SampleID: in.SampleID, MatchID: in.MatchID,
		Features: []tables.Vector{
			tables.NewFloats(tables.Float64, score), predicted, tables.NewStrings(detail), tables.NewStrings(kind),
		},
	}
	if l := in.Schema.Label; l != nil {
		out.Schema.Label, out.Label = &tables.Column{Name: "label", DType: l.DType}, in.Label
	}
	return out
}

// detail renders the classes' scores as upstream does: JSON with single quotes, in double quotes.
func (p predictor) detail(values []float64) string {
	var b strings.Builder
	b.WriteString(`"{`)
	for k, v := range values {
		if k > 0 {
			b.WriteString(", ")
		}
		b.WriteString(singleQuoted(p.classes.name(k)) + ": " + strconv.FormatFloat(v, 'g', -1, 64))
	}
	b.WriteString(`}"`)
	return b.String()
}

// singleQuoted is a JSON string in single quotes: with ' turned into " it is JSON again.
func singleQuoted(s string) string {
	raw, _ := json.Marshal(s) // text always has a JSON form
	return strings.ReplaceAll(strings.ReplaceAll(string(raw), "'", `\u0027`), `"`, "'")
}
