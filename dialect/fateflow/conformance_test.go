package fateflow_test

import (
	"testing"

	"openflow/dialect/dialecttest"
	"openflow/dialect/fateflow"
)

func TestConformance(t *testing.T) { dialecttest.Run(t, fateflow.Dialect{}) }
