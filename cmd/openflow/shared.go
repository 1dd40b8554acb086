package main

import (
	"os"
	"strings"

	"github.com/spf13/pflag"

	"openflow"
	"openflow/node"
)

// sharedFlags name the services that replace embedded parts of a node.
type sharedFlags struct {
	temporal, namespace, ca, certificate, key, tokenFile, postgres, redis, s3, secrets string
	tls                                                                                bool
}

func (f *sharedFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.temporal, "temporal", "", "HOST:PORT of a Temporal cluster's frontend instead of the embedded server")
	flags.StringVar(&f.namespace, "temporal-namespace", "", "this party's namespace there, made when it is missing (default openflow-PARTY)")
	flags.StringVar(&f.tokenFile, "temporal-token-file", "", "file with the token that the cluster wants")
	flags.BoolVar(&f.tls, "temporal-tls", false, "the cluster speaks TLS; also implied by the three files below")
	flags.StringVar(&f.ca, "temporal-ca", "", "PEM file: whom to trust for the cluster's certificate")
	flags.StringVar(&f.certificate, "temporal-cert", "", "PEM file: the certificate to show to the cluster")
	flags.StringVar(&f.key, "temporal-key", "", "PEM file: its key")
	flags.StringVar(&f.postgres, "postgres", "", "postgres://USER:PASSWORD@HOST:PORT/DATABASE for the catalogue; better by environment, where others do not see it")
	flags.StringVar(&f.redis, "redis", "", "redis://USER:PASSWORD@HOST:PORT/0 for messages, nonces and events; better by environment, where others do not see it")
	flags.StringVar(&f.s3, "s3", "", "s3://KEY:SECRET@HOST:PORT/BUCKET/PREFIX for tables, models and logs; better by environment, where others do not see it")
	flags.StringVar(&f.secrets, "secrets", "", "folder of the node's key, secret and tokens, which all servers of this party share (default: --home)")
}

func (f sharedFlags) shared() (s node.Shared, err error) {
	s = node.Shared{
		Temporal: node.Temporal{
			Address: f.temporal, Namespace: f.namespace, TLS: f.tls, CA: f.ca, Certificate: f.certificate, Key: f.key,
		},
		Postgres: f.postgres, Redis: f.redis, S3: f.s3, Secrets: f.secrets,
	}
	alone := node.Temporal{}
	if f.temporal == "" && (s.Temporal != alone || f.tokenFile != "") {
		return s, openflow.Errorf(openflow.CodeInvalid, "--temporal is missing: which cluster are the other --temporal- settings about?")
	}
	if f.tokenFile != "" {
		s.Temporal.Token, err = tokenIn("--temporal-token-file", f.tokenFile)
	}
	return s, err
}

// tokenIn reads a token from the file that a flag names, which others must not be able to read.
func tokenIn(flag, file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "%s: %w", flag, err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return "", openflow.Errorf(openflow.CodePermission, "%s is open to other users of this machine (mode %04o)", file, perm).
			WithHint("close it: chmod 600 %s", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "%s: %w", flag, err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 16 || strings.ContainsAny(token, " \n\r\t") {
		return "", openflow.Errorf(openflow.CodeInvalid, "%s %s: a token is one word of at least 16 characters", flag, file)
	}
	return token, nil
}
