package openflow_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestDescribedAs(t *testing.T) {
	const one = `{"component":{"name":"psi","stages":["train","predict"],"parameters":{"p":{"default":[1,2],"roles":["b","a"]}}}}`
	for name, tc := range map[string]struct {
		other string
		same  bool
	}{
		"the same":           {one, true},
		"members":            {`{"component":{"parameters":{"p":{"roles":["b","a"],"default":[1,2]}},"stages":["train","predict"],"name":"psi"}}`, true},
		"stages":             {`{"component":{"name":"psi","stages":["predict","train"],"parameters":{"p":{"default":[1,2],"roles":["b","a"]}}}}`, true},
		"a stage less":       {`{"component":{"name":"psi","stages":["train"],"parameters":{"p":{"default":[1,2],"roles":["b","a"]}}}}`, false},
		"a list of values":   {`{"component":{"name":"psi","stages":["train","predict"],"parameters":{"p":{"default":[2,1],"roles":["b","a"]}}}}`, false},
		"how a number looks": {`{"component":{"name":"psi","stages":["train","predict"],"parameters":{"p":{"default":[1,2.0],"roles":["b","a"]}}}}`, false},
		"values":             {`{"component":{"name":"psi","stages":["train","predict"],"parameters":{"p":{"default":[1,2],"roles":["a","b"]}}}}`, false},
		"no description":     {``, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := openflow.ComponentRecord{Description: json.RawMessage(one)}, openflow.ComponentRecord{Description: json.RawMessage(tc.other)}
			require.Equal(t, tc.same, a.DescribedAs(b))
			require.Equal(t, tc.same, b.DescribedAs(a))
		})
	}
}
