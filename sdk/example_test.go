package sdk_test

import (
	"context"
	"fmt"

	"openflow"
	"openflow/sdk"
)

// A job in which two institutions find the rows that they have in common. Its tables must have been uploaded at both.
func ExamplePipeline() {
	guest, host := sdk.Guest("9999"), sdk.Host("10000")
	p := sdk.NewPipeline(guest, host)
	reader := p.AddTask("reader_0", "reader").
		SetAt(guest, openflow.Parameters{"namespace": "demo", "name": "breast_guest"}).
		SetAt(host, openflow.Parameters{"namespace": "demo", "name": "breast_host"})
	p.AddTask("psi_0", "psi").Data("input_data", reader.Output("output_data"))

	dag, err := p.DAG()
	if err != nil {
		fmt.Println(err)
		return
	}
	order, err := dag.Order()
	fmt.Println(order, err)
	// Output: [reader_0 psi_0] <nil>
}

// Submitting a job, following it and fetching what it made.
func ExampleClient() {
	ctx := context.Background()
	run := func(dag *openflow.DAG) error {
		c := &sdk.Client{URL: sdk.DefaultURL}
		job, err := c.Submit(ctx, dag, "nightly-2026-01-02")
		if err != nil {
			return err
		}
		end, err := c.Watch(ctx, job.ID, func(s sdk.Snapshot) { fmt.Println(s.Status(), s.Progress(), s.Reason()) })
		if err != nil {
			return err
		}
		if end.Status() != openflow.JobSuccess {
			return fmt.Errorf("job %s is %s: %s", job.ID, end.Status(), end.Reason())
		}
		_, err = c.OutputData(ctx, openflow.TaskKey{Scheduler: "9999", Job: job.ID, Task: "psi_0", Party: sdk.Guest("9999")}, "", "out")
		return err
	}
	_ = run // it needs a node, so it only has to compile here
}
