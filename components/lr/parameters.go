package lr

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"openflow"
)

// parameters of the train stage. A predict task may carry them too; there they have no effect.
//
// Spec: fate-components §6.1, §2.
type parameters struct {
	Epochs    int          `json:"epochs" alike:"true" gt:"0"`
	BatchSize *int         `json:"batch_size" alike:"true" min:"10" doc:"rows; null is full batch"`
	Optimizer optimizerSet `json:"optimizer" alike:"true"`
	Scheduler schedulerSet `json:"learning_rate_scheduler" alike:"true"`
	Init      initSet      `json:"init_param"`
	EarlyStop string       `json:"early_stop" alike:"true" choices:"weight_diff,diff,abs" doc:"diff and abs need exactly one host"`
	Tol       float64      `json:"tol" alike:"true" min:"0"`
	Threshold float64      `json:"threshold" min:"0" max:"1"`
	Precision int          `json:"floating_point_precision" alike:"true" min:"0" doc:"fractional bits of encoded columns; 0, and whatever is above 26, means 26"`
	HE        heSet        `json:"he_param" doc:"accepted for compatibility; the scheme is CKKS at 128 bits whatever it says"`
	OutputCV  bool         `json:"output_cv_data" doc:"of cross validation, which is not offered; ignored"`
}

type optimizerSet struct {
	Method  string  `json:"method" default:"\"sgd\"" choices:"sgd,adadelta,adagrad,adam,adamax,adamw,asgd,nadam,radam,rmsprop,rprop" enum:"sgd,adam,rmsprop,adagrad" doc:"sgd, adam, rmsprop, adagrad are implemented"`
	Penalty string  `json:"penalty" default:"\"l2\"" null:"\"none\"" choices:"l1,l2,none" doc:"null means none"`
	Alpha   float64 `json:"alpha" default:"1.0" min:"0" max:"1e6"`
	Options options `json:"optimizer_params" required:"true" schema:"{\"type\":\"object\"}" doc:"keyword arguments of the torch optimizer"`
}

type schedulerSet struct {
	Method  string  `json:"method" default:"\"constant\"" choices:"constant,linear,step"`
	Options options `json:"scheduler_params" default:"null" schema:"{\"type\":\"object\"}" doc:"keyword arguments of the torch scheduler"`
}

type initSet struct {
	Method       string  `json:"method" default:"\"zeros\"" choices:"zeros,ones,consts,random,random_uniform"`
	FillVal      float64 `json:"fill_val" default:"0.0"`
	FitIntercept bool    `json:"fit_intercept" default:"true"`
	RandomState  *int    `json:"random_state"`
}

type heSet struct {
	Kind      string `json:"kind" required:"true" choices:"paillier,ou,mock,ckks" enum:"paillier,ou,ckks"`
	KeyLength int    `json:"key_length" default:"1024"`
}

// options are keyword arguments, by name.
type options map[string]any

// UnmarshalJSON replaces o, where a plain map would add to the defaults.
func (o *options) UnmarshalJSON(data []byte) error {
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "want an object")
	}
	*o = m
	return nil
}

func defaults() parameters {
	return parameters{
		Epochs:    20,
		Optimizer: optimizerSet{Method: "sgd", Penalty: "l2", Alpha: 1, Options: options{"lr": 0.01, "weight_decay": 0.0}},
		Scheduler: schedulerSet{Method: "linear", Options: options{"start_factor": 1.0}},
		Init:      initSet{Method: "random_uniform", FitIntercept: true},
		EarlyStop: "diff", Tol: 1e-4, Threshold: 0.5, Precision: 23,
		HE: heSet{Kind: "paillier", KeyLength: 1024}, OutputCV: true,
	}
}

// validate refuses what no party could run. Optimizer and scheduler are tried out, so that an unknown option fails
// before the first message.
func (p parameters) validate() error {
	if p.HE.Kind == "mock" {
		return openflow.Errorf(openflow.CodeRejected, "he_param.kind mock means no encryption; it is forbidden").
			WithPublic("he_param.kind mock means no encryption; it is forbidden").
			WithHint("leave he_param out; the scheme is CKKS")
	}
	if _, err := newOptimizer(p.Optimizer, 0); err != nil {
		return err
	}
	_, err := newSchedule(p.Scheduler, 1)
	return err
}

// fractionBits is the precision of encoded columns.
func (p parameters) fractionBits(most int) int {
	if p.Precision == 0 || p.Precision > most {
		return most
	}
	return p.Precision
}

// batchRows is the size of a batch of a table with so many rows.
func (p parameters) batchRows(rows int) int {
	if p.BatchSize == nil {
		return rows
	}
	return min(*p.BatchSize, rows)
}

// settings are the parameters that must be alike at all parties. What only concerns a party's own coefficients or
// predictions stays out: the start may be that party's secret.
type settings struct {
	Epochs    int          `json:"epochs"`
	BatchSize *int         `json:"batch_size"`
	Optimizer optimizerSet `json:"optimizer"`
	Scheduler schedulerSet `json:"learning_rate_scheduler"`
	EarlyStop string       `json:"early_stop"`
	Tol       float64      `json:"tol"`
	Precision int          `json:"floating_point_precision"`
}

func (p parameters) settings() settings {
	return settings{p.Epochs, p.BatchSize, p.Optimizer, p.Scheduler, p.EarlyStop, p.Tol, p.Precision}
}

// differences names the parameters in which s and other are not alike.
func (s settings) differences(other settings) []string {
	var names []string
	for _, d := range []struct {
		name  string
		alike bool
	}{
		{"epochs", s.Epochs == other.Epochs},
		{"batch_size", reflect.DeepEqual(s.BatchSize, other.BatchSize)},
		{"optimizer", reflect.DeepEqual(s.Optimizer, other.Optimizer)},
		{"learning_rate_scheduler", reflect.DeepEqual(s.Scheduler, other.Scheduler)},
		{"early_stop", s.EarlyStop == other.EarlyStop},
		{"tol", s.Tol == other.Tol},
		{"floating_point_precision", s.Precision == other.Precision},
	} {
		if !d.alike {
			names = append(names, d.name)
		}
	}
	return names
}

// reader takes typed keyword arguments out of options and remembers what nobody asked for.
type reader struct {
	of     string // such as "optimizer sgd"
	values options
	taken  map[string]bool
	err    error
}

func newReader(of string, o options) *reader {
	return &reader{of: of, values: o, taken: map[string]bool{}}
}

func (r *reader) value(name string) (any, bool) {
	r.taken[name] = true
	v, ok := r.values[name]
	return v, ok && v != nil
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = openflow.Errorf(openflow.CodeInvalid, r.of+": "+format, args...).WithPublic("an option of optimizer or scheduler is not accepted")
	}
}

func (r *reader) number(name string, fallback, least float64) float64 {
	v, ok := r.value(name)
	if !ok {
		return fallback
	}
	n, ok := v.(float64)
	if text, is := v.(string); is { // as all other parameters are read
		parsed, err := strconv.ParseFloat(text, 64)
		n, ok = parsed, err == nil
	}
	if !ok || !(n >= least) {
		r.fail("%s is %v, want a number of at least %v", name, v, least)
	}
	return n
}

func (r *reader) flag(name string) bool {
	v, ok := r.value(name)
	if !ok {
		return false
	}
	switch strings.ToLower(fmt.Sprint(v)) {
	case "true", "1", "yes", "on":
		return true
	case "false", "0", "no", "off":
	default:
		r.fail("%s is %v, want true or false", name, v)
	}
	return false
}

// pair reads two numbers from [0, 1).
func (r *reader) pair(name string, a, b float64) (x, y float64) {
	v, ok := r.value(name)
	if !ok {
		return a, b
	}
	list, _ := v.([]any)
	var n [2]float64
	for i := range list {
		f, ok := list[i].(float64)
		if !ok || i > 1 || f < 0 || f >= 1 {
			list = nil
			break
		}
		n[i] = f
	}
	if len(list) != 2 {
		r.fail("%s is %v, want two numbers from 0 up to 1", name, v)
	}
	return n[0], n[1]
}

// end refuses arguments that nobody asked for, as Python does.
func (r *reader) end() error {
	for name := range r.values {
		if !r.taken[name] {
			r.fail("unknown option %q", name)
		}
	}
	return r.err
}
