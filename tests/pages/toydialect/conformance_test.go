package toydialect_test

import (
	"testing"

	"openflow/dialect/dialecttest"
	"openflow/tests/pages/toydialect"
)

func TestConformance(t *testing.T) { dialecttest.Run(t, toydialect.Dialect{}) }
