package process

import (
	"reflect"
	"testing"

	"openflow/store/document/documenttest"
)

func TestRecordOfAContainer(t *testing.T) {
	documenttest.Tagged(t, reflect.TypeFor[record]())
	documenttest.RoundTrip(t, specificationOf, specification.decode, "Resident") // a process serves one run
}
