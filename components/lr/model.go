package lr

import (
	"context"
	"encoding/json"
	"strconv"

	"openflow"
	"openflow/sdk/component"
)

// model is what a party saves: data.estimator is one estimator, or one per class by its index.
//
// Spec: fate-components §6.1 (Models), §1.5. Beyond the keys there, optimizer.state continues a warm start.
type model struct {
	Data struct {
		Estimator json.RawMessage `json:"estimator"`
	} `json:"data"`
	Meta meta `json:"meta"`
}

type estimator struct {
	Param        *param          `json:"param,omitempty"` // nil at the arbiter
	Optimizer    optimizerRecord `json:"optimizer"`
	Scheduler    scheduleRecord  `json:"lr_scheduler"`
	EndEpoch     int             `json:"end_epoch"` // index of the epoch in which it converged, or epochs
	IsConverged  bool            `json:"is_converged"`
	FitIntercept *bool           `json:"fit_intercept,omitempty"` // guest
	Header       []string        `json:"header,omitempty"`        // feature names in order, without intercept
	Tol          *float64        `json:"tol,omitempty"`           // arbiter
	EarlyStop    string          `json:"early_stop,omitempty"`    // arbiter
}

type param struct {
	Coef      [][]float64 `json:"coef_"`      // a column vector
	Intercept []float64   `json:"intercept_"` // null without one
	DType     string      `json:"dtype"`
}

type optimizerRecord struct {
	Method    string          `json:"method"`
	Penalty   string          `json:"penalty"`
	L1        bool            `json:"l1_penalty"`
	L2        bool            `json:"l2_penalty"`
	Alpha     float64         `json:"alpha"`
	Options   options         `json:"optim_param"`
	Optimizer *optimizerState `json:"optimizer,omitempty"` // nil at the arbiter, who runs none
}

type scheduleRecord struct {
	Method  string  `json:"method"`
	Options options `json:"lr_params"`
	Steps   int     `json:"last_epoch"`
}

// meta has the keys of all roles; the empty ones are left out.
type meta struct {
	Epochs     int          `json:"epochs"`
	BatchSize  *int         `json:"batch_size"`
	Scheduler  schedulerSet `json:"learning_rate_param"`
	Init       *initSet     `json:"init_param,omitempty"`
	Optimizer  optimizerSet `json:"optimizer_param"`
	Labels     classes      `json:"labels,omitzero"`       // guest
	LabelCount any          `json:"label_count,omitempty"` // host
	OVR        bool         `json:"ovr"`
	Threshold  *float64     `json:"threshold,omitempty"` // guest
	Precision  *int         `json:"floating_point_precision,omitempty"`
	EarlyStop  string       `json:"early_stop,omitempty"` // arbiter
	Tol        *float64     `json:"tol,omitempty"`        // arbiter
	Columns    []spread     `json:"columns,omitempty"`    // of this party, in the order of the header; ours
}

func newModel(m meta, list []estimator) (model, error) {
	out := model{Meta: m}
	var content any = list[0]
	if len(list) > 1 {
		byClass := map[string]estimator{}
		for k, e := range list {
			byClass[strconv.Itoa(k)] = e
		}
		content = byClass
		out.Meta.OVR = true
	}
	raw, err := json.Marshal(content)
	if err != nil {
		return model{}, openflow.Errorf(openflow.CodeInternal, "model: %w", err)
	}
	out.Data.Estimator = raw
	return out, nil
}

// estimators reads the estimators of m, by class index.
func (m model) estimators() ([]estimator, error) {
	if !m.Meta.OVR {
		var e estimator
		err := json.Unmarshal(m.Data.Estimator, &e)
		return []estimator{e}, err
	}
	var byClass map[string]estimator
	if err := json.Unmarshal(m.Data.Estimator, &byClass); err != nil {
		return nil, err
	}
	list := make([]estimator, len(byClass))
	for k := range list {
		e, ok := byClass[strconv.Itoa(k)]
		if !ok {
			return nil, openflow.Errorf(openflow.CodeInvalid, "class %d is missing", k)
		}
		list[k] = e
	}
	return list, nil
}

// loadModel reads the model input key.
func loadModel(ctx context.Context, t *component.Task, key string) (model, []estimator, error) {
	var m model
	if err := t.Model(ctx, key, &m); err != nil {
		return model{}, nil, err
	}
	list, err := m.estimators()
	if err == nil && (len(list) == 0 || len(list) > maxClasses) {
		err = openflow.Errorf(openflow.CodeInvalid, "it has %d estimators", len(list))
	}
	if err != nil {
		return model{}, nil, openflow.Errorf(openflow.CodeInvalid, "model %q of %s is not one of coordinated_lr: %w", key, t.Key(), err).
			WithPublic("the model bound to %q is not one of coordinated_lr", key)
	}
	return m, list, nil
}

// coefficients returns weights as slice has them, and checks them against the table's features.
func (e estimator) coefficients(t *component.Task, names []string) (w []float64, intercept bool, err error) {
	if e.Param == nil {
		return nil, false, openflow.Errorf(openflow.CodeInvalid, "the model of %s has no coefficients", t.Key()).
			WithPublic("its model has no coefficients")
	}
	if len(e.Param.Coef) != len(names) || len(e.Header) != len(names) {
		return nil, false, openflow.Errorf(openflow.CodeInvalid, "the model of %s has %d features, its table %d%s", t.Party(), len(e.Param.Coef), len(names), lackingOf(e.Header, names)).
			WithPublic("its model and its table do not have the same columns").
			WithHint("a model is for the same columns in the same order")
	}
	for i, c := range e.Param.Coef {
		if e.Header[i] != names[i] || len(c) != 1 {
			return nil, false, openflow.Errorf(openflow.CodeInvalid, "feature %d of the model of %s is %q, of its table %q", i, t.Party(), e.Header[i], names[i]).
				WithPublic("its model and its table do not have the same columns").
				WithHint("a model is for the same columns in the same order")
		}
		w = append(w, c[0])
	}
	if len(e.Param.Intercept) > 0 {
		return append(w, e.Param.Intercept[0]), true, nil
	}
	return w, false, nil
}

// lackingOf names the columns that only the model or only the table has. The names are this party's own.
func lackingOf(model, table []string) string {
	text := ""
	for _, side := range []struct {
		of          string
		these, them []string
	}{{"the table lacks ", model, table}, {"the model lacks ", table, model}} {
		there := map[string]bool{}
		for _, name := range side.them {
			there[name] = true
		}
		var lacking []string
		for _, name := range side.these {
			if !there[name] {
				lacking = append(lacking, strconv.Quote(cut(name)))
			}
		}
		if len(lacking) > 0 {
			text += "; " + side.of + listed(lacking)
		}
	}
	return text
}

// record makes the estimator of a trained slice.
func (s *slice) record(p parameters, names []string, o outcome) estimator {
	state := s.optimizer.state
	e := estimator{
		Param: &param{Coef: [][]float64{}, DType: "float64"}, Header: names,
		Optimizer: recordOptimizer(p.Optimizer), Scheduler: recordSchedule(p.Scheduler, o.epochs),
		EndEpoch: o.epochs, IsConverged: o.converged,
	}
	if o.converged {
		e.EndEpoch--
	}
	e.Optimizer.Optimizer = &state
	for i := range names {
		e.Param.Coef = append(e.Param.Coef, []float64{s.weights[i]})
	}
	if s.intercept {
		e.Param.Intercept = []float64{s.weights[len(names)]}
	}
	return e
}

func recordOptimizer(o optimizerSet) optimizerRecord {
	return optimizerRecord{
		Method: o.Method, Penalty: o.Penalty, L1: o.Penalty == "l1", L2: o.Penalty == "l2", Alpha: o.Alpha, Options: o.Options,
	}
}

func recordSchedule(s schedulerSet, steps int) scheduleRecord {
	return scheduleRecord{Method: s.Method, Options: s.Options, Steps: steps}
}

// warm replaces in p what a warm start takes from the model: everything but epochs and batch size.
//
// Spec: fate-components §6.1 (Warm start).
func (p parameters) warm(m meta) parameters {
	p.Optimizer, p.Scheduler = m.Optimizer, m.Scheduler
	if m.Init != nil {
		p.Init = *m.Init
	}
	if m.Threshold != nil {
		p.Threshold = *m.Threshold
	}
	if m.Precision != nil {
		p.Precision = *m.Precision
	}
	if m.EarlyStop != "" && m.Tol != nil {
		p.EarlyStop, p.Tol = m.EarlyStop, *m.Tol
	}
	return p
}

// continueFrom puts a slice where e ended.
func (s *slice) continueFrom(t *component.Task, e estimator, names []string) error {
	w, intercept, err := e.coefficients(t, names)
	if err != nil {
		return err
	}
	if intercept != s.intercept {
		return openflow.Errorf(openflow.CodeInvalid, "the model of %s and its parameters disagree about the intercept", t.Party()).
			WithPublic("its model and its parameters disagree about the intercept")
	}
	s.weights = w
	if e.Optimizer.Optimizer == nil {
		return nil
	}
	before := s.schedule
	s.schedule = func(epoch int) float64 { return before(epoch + e.Scheduler.Steps) }
	return s.optimizer.restore(*e.Optimizer.Optimizer)
}
