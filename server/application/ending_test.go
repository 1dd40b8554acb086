package application

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// What ends or deletes something gets room first. Where there is none to give, and it fails for that, what helps is told.
func TestEnding(t *testing.T) {
	full, none := openflow.Errorf(openflow.CodeExhausted, "disk full"), openflow.Errorf(openflow.CodeExhausted, "restart the node")
	missing := openflow.Errorf(openflow.CodeNotFound, "no such job")
	for name, c := range map[string]struct{ spare, did, want error }{
		"there is room":                   {nil, nil, nil},
		"there is room, and it is filled": {nil, full, full},
		"nothing is left to give":         {none, full, none},
		"it is not needed":                {none, nil, nil},
		"it fails for something else":     {none, missing, missing},
	} {
		t.Run(name, func(t *testing.T) {
			var order []string
			s := &Site{Spare: func() error { order = append(order, "spare"); return c.spare }}
			require.Equal(t, c.want, s.Ending(func() error { order = append(order, "do"); return c.did }))
			require.Equal(t, []string{"spare", "do"}, order)
		})
	}
	require.Equal(t, full, (&Site{}).Ending(func() error { return full }))
}
