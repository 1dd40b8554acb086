package main

import (
	"strings"

	"openflow"
	"openflow/cmd/openflow/settings"
	"openflow/node"
	"openflow/site/trust"
)

// shared names the services that replace embedded parts of a node.
func shared(s settings.Shared) (to node.Shared, err error) {
	to = node.Shared{
		Temporal: node.Temporal{
			Address: s.Temporal, Namespace: s.Namespace, TLS: s.TLS, CA: s.CA, Certificate: s.Certificate, Key: s.Key,
		},
		Postgres: s.Postgres, Redis: s.Redis, S3: s.S3, Secrets: s.Secrets,
	}
	alone := node.Temporal{}
	if s.Temporal == "" && (to.Temporal != alone || s.TokenFile != "") {
		return to, openflow.Errorf(openflow.CodeInvalid, "--temporal is missing: which cluster are the other --temporal- settings about?")
	}
	if s.TokenFile != "" {
		to.Temporal.Token, err = tokenIn("--temporal-token-file", s.TokenFile)
	}
	return to, err
}

// tokenIn reads a token from the file that a flag names, which others must not be able to read.
func tokenIn(flag, file string) (string, error) {
	text, err := trust.ReadPrivate(file)
	switch {
	case openflow.CodeOf(err) == openflow.CodePermission:
		return "", err
	case err != nil:
		return "", openflow.Errorf(openflow.CodeInvalid, "%s: %w", flag, err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 16 || strings.ContainsAny(token, " \n\r\t") {
		return "", openflow.Errorf(openflow.CodeInvalid, "%s %s: a token is one word of at least 16 characters", flag, file)
	}
	return token, nil
}
