package sdk

import (
	"testing"
	"time"
)

// OnlyTold makes watchers that are told of changes never ask without, until the test ends.
func OnlyTold(t *testing.T) {
	before := toldWait
	toldWait = time.Hour
	t.Cleanup(func() { toldWait = before })
}
