package toystore_test

import (
	"testing"

	"openflow/store/objects"
	"openflow/store/objects/storetest"
	"openflow/tests/pages/toystore"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) objects.Store { return toystore.New() })
}
