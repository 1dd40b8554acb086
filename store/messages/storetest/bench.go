package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow/store/messages"
)

// Bench measures one push and the acknowledged read of it, by size of the payload.
func Bench(b *testing.B, open func(b *testing.B) messages.Store) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s, c := open(b), newChannel()
			payload := make([]byte, size)
			b.SetBytes(int64(size))
			ack := int64(0)
			for b.Loop() {
				m := messages.Message{ID: uuid.NewString(), Source: "9999", Payload: payload}
				require.NoError(b, s.Push(b.Context(), c, m, time.Second))
				got, ok, err := s.Next(b.Context(), c, "", ack, time.Second)
				require.NoError(b, err)
				require.True(b, ok)
				ack = got.Sequence
			}
		})
	}
}
