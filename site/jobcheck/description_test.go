package jobcheck

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// A vendor's program need not describe metrics. Where its component runs follows then from what else it says.
func TestStagesOfAComponent(t *testing.T) {
	for name, tc := range map[string]struct {
		description string
		want        []openflow.Stage
	}{
		"of its metrics":       {`{"output_artifacts":{"metric":{"metric":{"stages":["train"]}},"data":{"out":{"stages":["predict"]}}}}`, []openflow.Stage{"train"}},
		"metrics without any":  {`{"output_artifacts":{"metric":{"metric":{}}}}`, nil},
		"of inputs, outputs":   {`{"input_artifacts":{"data":{"in":{"stages":["train"]}}},"output_artifacts":{"data":{"out":{"stages":["train","predict"]}}}}`, []openflow.Stage{"predict", "train"}},
		"nothing is described": {`{"output_artifacts":{"data":{},"model":{},"metric":{}}}`, []openflow.Stage{"default"}},
	} {
		t.Run(name, func(t *testing.T) {
			var c Component
			require.NoError(t, json.Unmarshal([]byte(tc.description), &c))
			require.Equal(t, tc.want, c.stages())
		})
	}
}
