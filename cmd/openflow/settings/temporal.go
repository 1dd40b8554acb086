package settings

import (
	"time"

	"openflow/cli"
)

// Temporal is what openflow temporal can be told.
type Temporal struct {
	Postgres    string        `flag:"postgres" required:"openflow temporal --postgres postgres://openflow:SECRET@127.0.0.1:5432/temporal" help:"postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…; better not on the command line, which others see"`
	Listen      string        `flag:"listen" help:"address of the frontend"`
	UI          string        `flag:"ui" help:"address of the read-only web UI, of loopback; it knows no login"`
	Home        string        `flag:"home" default:"~/.openflow-temporal" help:"folder of the token"`
	Namespace   string        `flag:"namespace" help:"namespace that is made at the start; nodes may make others"`
	TokenFile   string        `flag:"token-file" help:"file with the token instead of the one in the home folder"`
	Open        bool          `flag:"open" help:"without a token; on loopback only, for trials"`
	Certificate string        `flag:"tls-cert" help:"PEM file with the frontend's certificate"`
	Key         string        `flag:"tls-key" help:"PEM file with its key"`
	Retention   time.Duration `flag:"retention" help:"how long closed workflows stay visible"`
	Level       Level         `flag:"log-level" help:"debug, info, warn or error"`
}

// NewTemporal has the defaults.
func NewTemporal() *Temporal {
	return &Temporal{
		Listen: "127.0.0.1:7233", Home: cli.DefaultHome() + "-temporal", Namespace: "openflow", Retention: 72 * time.Hour,
	}
}
