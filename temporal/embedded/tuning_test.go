package embedded_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/dynamicconfig"

	"openflow/temporal/embedded"
)

// The server ignores unknown keys and values of the wrong type in silence; its YAML loader warns of both.
func TestTuningKeysAreRegistered(t *testing.T) {
	for key, value := range embedded.Tuning {
		t.Run(key, func(t *testing.T) {
			require.Empty(t, load(key, value).Warnings)
		})
	}
}

func TestRegistryWarns(t *testing.T) {
	require.NotEmpty(t, load("history.noSuchKey", 1).Warnings)
	require.NotEmpty(t, load("history.transferProcessorMaxPollRPS", "often").Warnings)
}

func load(key string, value any) *dynamicconfig.YamlLoader {
	if d, ok := value.(time.Duration); ok {
		value = d.String()
	}
	var l dynamicconfig.YamlLoader
	l.LoadValue(dynamicconfig.MakeKey(strings.TrimSpace(key)), fmt.Appendf(nil, "- value: %v\n", value))
	return &l
}
