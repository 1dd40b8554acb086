package toyruntime_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
	"openflow/runtime/runtimetest"
	"openflow/tests/pages/toyruntime"
)

func TestConformance(t *testing.T) {
	toy := toyruntime.New()
	runtimetest.Run(t, runtimetest.Harness{
		Open: func(t *testing.T) driver.Runtime {
			h, err := toy.Open(t.Context(), driver.Options{Home: t.TempDir(), Node: "all replicas"})
			require.NoError(t, err)
			return h
		},
		Image: runtimetest.Build(t),
	})
}

func TestConformanceOfHosts(t *testing.T) {
	runtimetest.RunHost(t, toyruntime.New(), runtimetest.Build(t))
}
