package lr

import (
	"context"
	"math"
	"strconv"
	"strings"

	"openflow"
	"openflow/tables"
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
	return r, m.Meta, weights, nil
}

// verdict is the guest's answer to the hosts' enrolments.
type verdict struct {
	Fault string `json:"fault"`
}

func (s *session) predictGuest(ctx context.Context) error {
	r, m, weights, err := s.readPrediction(ctx)
	fault := ""
	if err != nil {
		fault = "the input of " + s.guest.String() + " is not usable, its own task says why"
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
		return openflow.Errorf(openflow.CodeInvalid, "no prediction: %s", fault)
	case m.Threshold == nil || len(m.Labels) < 2 || !m.OVR && len(m.Labels) != 2 || m.OVR && len(m.Labels) != len(weights):
		return openflow.Errorf(openflow.CodeInvalid, "input_model of %s lacks its labels or threshold", s.task.Key())
	}
	out, err := s.collect(ctx, r, weights, predictor{classes: m.Labels, threshold: *m.Threshold, kind: "test_set"})
	if err != nil {
		return err
	}
	return s.task.SaveTable(ctx, testOutput, out)
}

func (s *session) predictHost(ctx context.Context) error {
	r, _, weights, err := s.readPrediction(ctx)
	if err == nil {
		err = s.spendScores(ctx, len(r.columns), len(weights))
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
		return openflow.Errorf(openflow.CodeInvalid, "no prediction: %s", v.Fault)
	}
	return s.sendPartial(ctx, r, weights)
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
	classes   []int // in ascending order
	threshold float64
	kind      string // train_set, validate_set or test_set
}

// collect adds the hosts' partial scores to the guest's and renders the prediction, in the row order of the table.
func (s *session) collect(ctx context.Context, r *rows, weights [][]float64, p predictor) (*tables.Frame, error) {
	n := r.count()
	probability := make([][]float64, len(weights)) // [model][row of the table]
	sums := make([][]float64, len(weights))
	for k, w := range weights {
		sums[k] = r.score(w, 0, n)
		probability[k] = make([]float64, n)
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
	for k := range sums {
		for i, z := range sums[k] {
			probability[k][r.order[i]] = 1 / (1 + math.Exp(-z))
		}
	}
	return p.frame(r.frame, probability), nil
}

// frame is the prediction frame.
//
// Spec: fate-components §1.8.
func (p predictor) frame(in *tables.Frame, probability [][]float64) *tables.Frame {
	n := in.Rows()
	score, result := make([]float64, n), make([]int64, n)
	detail, kind := make([]string, n), make([]string, n)
	values := make([]float64, len(p.classes))
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
					score[i], result[i] = values[k], int64(k)
				}
			}
		}
		detail[i], kind[i] = p.detail(values), p.kind
	}
	out := &tables.Frame{
		Schema: tables.Schema{
			SampleID: in.Schema.SampleID, MatchID: in.Schema.MatchID, Site: in.Schema.Site,
			Features: []tables.Column{
				{Name: "predict_score", DType: tables.Float64}, {Name: "predict_result", DType: tables.Int64},
				{Name: "predict_detail", DType: tables.Object}, {Name: "type", DType: tables.Object},
			},
		},
		SampleID: in.SampleID, MatchID: in.MatchID,
		Features: []tables.Vector{
			tables.NewFloats(tables.Float64, score), tables.NewInts(tables.Int64, result), tables.NewStrings(detail), tables.NewStrings(kind),
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
	for k, class := range p.classes {
		if k > 0 {
			b.WriteString(", ")
		}
		b.WriteString("'" + strconv.Itoa(class) + "': " + strconv.FormatFloat(values[k], 'g', -1, 64))
	}
	b.WriteString(`}"`)
	return b.String()
}
