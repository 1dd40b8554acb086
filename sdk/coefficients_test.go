package sdk_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk"
)

func TestCoefficients(t *testing.T) {
	const one = `{"header":["age"],"param":{"coef_":[[1]],"intercept_":[2]}}`
	for name, c := range map[string]struct {
		model string
		want  []sdk.Coefficient
	}{
		"guest":                   {`{"data":{"estimator":` + one + `},"meta":{"labels":[0,1]}}`, []sdk.Coefficient{{"", "age", 1}, {"", "", 2}}},
		"host, no intercept":      {`{"data":{"estimator":{"header":["x"],"param":{"coef_":[[3]],"intercept_":null}}},"meta":{}}`, []sdk.Coefficient{{"", "x", 3}}},
		"several classes":         {`{"data":{"estimator":{"1":` + one + `,"0":` + one + `}},"meta":{"labels":[-1,"b"],"ovr":true}}`, []sdk.Coefficient{{"-1", "age", 1}, {"-1", "", 2}, {"b", "age", 1}, {"b", "", 2}}},
		"several, labels unknown": {`{"data":{"estimator":{"0":` + one + `}},"meta":{"ovr":true}}`, []sdk.Coefficient{{"1", "age", 1}, {"1", "", 2}}},
		"arbiter":                 {`{"data":{"estimator":{"end_epoch":3}},"meta":{}}`, nil},
		"names and values differ": {`{"data":{"estimator":{"header":["a","b"],"param":{"coef_":[[3]]}}},"meta":{}}`, nil},
		"not a column vector":     {`{"data":{"estimator":{"header":["a"],"param":{"coef_":[[3,4]]}}},"meta":{}}`, nil},
		"no model":                {`[]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, sdk.Coefficients(json.RawMessage(c.model)))
		})
	}
}
