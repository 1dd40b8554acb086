package sdk

import (
	"encoding/json"
	"strconv"
)

// Coefficient is one number of a linear model at one party.
type Coefficient struct {
	Class  string  `json:"class"`  // whose model it is: a label, or at a party without labels the model's number; empty: the only one
	Column string  `json:"column"` // of this party; empty: the intercept
	Value  float64 `json:"value"`
}

// linear is what this reads of a model of coordinated_lr, and of FATE's other linear models.
//
// Spec: fate-components §6.1 (Models).
type linear struct {
	Data struct {
		Estimator json.RawMessage `json:"estimator"`
	} `json:"data"`
	Meta struct {
		Labels []any `json:"labels"`
		OVR    bool  `json:"ovr"`
	} `json:"meta"`
}

type estimator struct {
	Header []string `json:"header"`
	Param  struct {
		Coefficients [][]float64 `json:"coef_"`
		Intercept    []float64   `json:"intercept_"`
	} `json:"param"`
}

// Coefficients reads the coefficients of a linear model, as Client.Model returns it: by class, each in the order of the
// columns and the intercept last. None where the model is of another kind, as an arbiter's is.
func Coefficients(model json.RawMessage) []Coefficient {
	var m linear
	if json.Unmarshal(model, &m) != nil {
		return nil
	}
	if !m.Meta.OVR {
		return readEstimator("", m.Data.Estimator)
	}
	var byClass map[string]json.RawMessage
	if json.Unmarshal(m.Data.Estimator, &byClass) != nil {
		return nil
	}
	var all []Coefficient
	for k := range len(byClass) {
		class := strconv.Itoa(k + 1)
		if k < len(m.Meta.Labels) {
			class = labelText(m.Meta.Labels[k])
		}
		all = append(all, readEstimator(class, byClass[strconv.Itoa(k)])...)
	}
	return all
}

func readEstimator(class string, raw json.RawMessage) []Coefficient {
	var e estimator
	if json.Unmarshal(raw, &e) != nil || len(e.Header) != len(e.Param.Coefficients) {
		return nil
	}
	var list []Coefficient
	for i, name := range e.Header {
		if len(e.Param.Coefficients[i]) != 1 {
			return nil
		}
		list = append(list, Coefficient{class, name, e.Param.Coefficients[i][0]})
	}
	if len(e.Param.Intercept) == 1 {
		list = append(list, Coefficient{class, "", e.Param.Intercept[0]})
	}
	return list
}

func labelText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
