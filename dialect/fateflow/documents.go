package fateflow

import (
	"openflow"
	"openflow/sdk/wire"
)

// documents are jobs as users of FATE-Flow write them. The Go client writes the same ones, so sdk/wire has their form.
//
// Spec: fate-flow-api §4.1.
type documents struct{}

// Read implements dialect.Documents.
func (documents) Read(document []byte) (openflow.Submission, error) {
	return wire.ReceiveSubmission(document)
}

// Write implements dialect.Documents.
func (documents) Write(job *openflow.DAG) ([]byte, error) {
	b, err := wire.EncodeDocument(job)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the job cannot be written as JSON: %w", err)
	}
	return b, nil
}
