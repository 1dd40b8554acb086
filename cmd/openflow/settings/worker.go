package settings

import "openflow/cli"

// Worker is what openflow worker can be told.
type Worker struct {
	Site string `flag:"site" required:"openflow worker --site https://10.0.0.2:9391" help:"address of the node's listener for workers"`
	// Its variable is another one, because OPENFLOW_TOKEN holds the application layer's, for clients on the same machine.
	Token       string `flag:"token" env:"WORKER_TOKEN" help:"the site's worker token, as openflow site worker-token prints it: with the node's key"`
	TokenFile   string `flag:"token-file" help:"file with the site's worker token"`
	Authorities string `flag:"ca" env:"WORKER_CA" help:"PEM file of authorities whose certificates count besides the node's key; for a gateway that ends TLS"`
	Plain       bool   `flag:"plain" env:"WORKER_PLAIN" help:"the site may be called without TLS although it is on another machine: the token can be read on the way"`
	Home        string `flag:"home" default:"~/.openflow-worker" help:"folder of this worker"`
	Cores       Cores  `flag:"cores" default:"this machine's" help:"cores that tasks share"`

	Running `title:"How tasks run"`
	Watch   `title:"What the worker tells of itself"`
}

// NewWorker has the defaults.
func NewWorker() *Worker { return &Worker{Home: cli.DefaultHome() + "-worker", Running: running()} }
