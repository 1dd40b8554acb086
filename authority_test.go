package openflow_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// Each site gets the same words with a salt of its own, from which that of another does not follow.
func TestMandateForASite(t *testing.T) {
	m := &openflow.Mandate{Text: []byte("text"), Signature: []byte("signature"), Salt: bytes.Repeat([]byte{1}, openflow.MandateSalt)}
	one, other := m.For("9999"), m.For("10000")
	require.Equal(t, m.Text, one.Text)
	require.Equal(t, m.Signature, one.Signature)
	require.Len(t, one.Salt, openflow.MandateSalt)
	require.Equal(t, one, m.For("9999"), "a repeat gets the same")
	require.NotEqual(t, one.Salt, other.Salt)
	require.NotEqual(t, other.Salt, one.For("10000").Salt)
	require.Nil(t, (*openflow.Mandate)(nil).For("9999"), "what nobody has signed stays so")
}

// What is filled in replaces nothing, and is filled in once.
func TestFilled(t *testing.T) {
	filled := openflow.JobConf{}.Filled("1")
	require.Equal(t, openflow.JobConf{SyncType: openflow.Callback, ModelID: "1", ModelVersion: "0", ComputingPartitions: 8}, filled)
	require.Equal(t, filled, filled.Filled("2"))
	said := openflow.JobConf{SyncType: openflow.Poll, ModelID: "m", ModelVersion: "7", ComputingPartitions: 2, Purpose: "p"}
	require.Equal(t, said, said.Filled("1"))
}

func TestAuthorityOfARow(t *testing.T) {
	r := openflow.JobRecord{Initiator: "9999", Scheduler: "10000", Signed: true}
	require.Equal(t, openflow.Authority{Initiator: "9999", Scheduler: "10000", Signed: true}, r.Authority(), "of a row without its document")
	r.DAG = &openflow.DAG{Conf: openflow.JobConf{Purpose: "p"}}
	require.Equal(t, "p", r.Authority().Purpose)
}
