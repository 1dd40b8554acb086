package messages_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
)

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		in, want messages.Options // zero: refused
	}{
		"defaults": {want: messages.Options{
			SessionBytes: 256 << 20, MessageBytes: 128 << 20, JobBytes: 1 << 30, PeerBytes: 4 << 30, TotalBytes: 16 << 30,
		}},
		"a small session has small messages": {
			in: messages.Options{SessionBytes: 1 << 20},
			want: messages.Options{
				SessionBytes: 1 << 20, MessageBytes: 1<<20 - 4224, JobBytes: 1 << 30, PeerBytes: 4 << 30, TotalBytes: 16 << 30,
			},
		},
		"a large session makes room for two in its job": {
			in: messages.Options{SessionBytes: 3 << 30},
			want: messages.Options{
				SessionBytes: 3 << 30, MessageBytes: 128 << 20, JobBytes: 6 << 30, PeerBytes: 6 << 30, TotalBytes: 16 << 30,
			},
		},
		"a job without room for a message": {in: messages.Options{JobBytes: 1 << 20, MessageBytes: 1 << 20}},
		"a small job has small messages": {
			in: messages.Options{JobBytes: 1 << 20},
			want: messages.Options{
				SessionBytes: 256 << 20, MessageBytes: 1<<20 - 4224, JobBytes: 1 << 20, PeerBytes: 4 << 30, TotalBytes: 16 << 30,
			},
		},
		"message does not fit":  {in: messages.Options{SessionBytes: 1 << 10, MessageBytes: 1 << 10}},
		"no room for a message": {in: messages.Options{SessionBytes: 1}},
		"negative":              {in: messages.Options{MessageBytes: -1}},
	} {
		got, err := test.in.WithDefaults()
		if test.want.SessionBytes == 0 {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
			continue
		}
		require.NoError(t, err, name)
		require.False(t, got.Live("s"))
		require.Equal(t, "s", got.Job("s"))
		require.NoError(t, got.Room(t.Context(), 1<<30))
		got.Live, got.Job, got.Room = nil, nil, nil
		require.Equal(t, test.want, got, name)
	}
}

func TestVerdicts(t *testing.T) {
	c := messages.Channel{Session: "s", Topic: "t"}
	for name, test := range map[string]struct {
		err  error
		is   *openflow.Error
		text string
	}{
		"released": {messages.Released(c), messages.ErrReleased, `session s, topic "t": released`},
		"full": {messages.Full(c, messages.Account{What: "messages of job j", Used: 1, Limit: 2}, time.Second), messages.ErrFull,
			`session s: no room for a message on topic "t" after 1s: messages of job j take 1 bytes of 2` +
				` (let the task read what is queued, or end jobs; the operator of this node may raise the limit: docs/bounds.md)`},
		"spent": {messages.Spent(c, 2), messages.ErrSpent,
			`session s: it remembers IDs and topics of 2 bytes, as much as it may` +
				` (send fewer, larger messages on fewer topics; the operator of this node may raise the limit: docs/bounds.md)`},
		"too large": {messages.Options{MessageBytes: 1}.CheckPush(c, messages.Message{Payload: []byte("ab")}),
			messages.ErrTooLarge, `message of 2 bytes on topic "t" is above the limit of 1 bytes (split the payload)`},
	} {
		require.ErrorIs(t, test.err, test.is, name)
		require.Equal(t, test.is.Code, openflow.CodeOf(test.err), name)
		require.EqualError(t, test.err, test.text, name)
	}
}
