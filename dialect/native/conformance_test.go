package native_test

import (
	"testing"

	"openflow/dialect/dialecttest"
	"openflow/dialect/native"
)

func TestConformance(t *testing.T) { dialecttest.Run(t, native.Dialect{}) }
