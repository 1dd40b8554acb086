package sdk

import (
	"context"

	"openflow"
	"openflow/sdk/wire"
)

// Provider is a provider of components in the node's registry.
type Provider struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Kind       string   `json:"kind"`       // built-in or program
	Program    string   `json:"program"`    // its path at the node
	Digest     string   `json:"digest"`     // of the program
	Dialect    string   `json:"dialect"`    // that its containers speak
	Enabled    bool     `json:"enabled"`    // it takes new jobs
	AddedBy    string   `json:"added_by"`   // user
	AddedAt    int64    `json:"added_at"`   // milliseconds since 1970
	Components []string `json:"components"` // not in lists, like what follows
	Warnings   []string `json:"warnings"`   // what of their descriptions is ignored, or was made up for
}

// Ref names the provider.
func (p Provider) Ref() string {
	return openflow.ProviderRef{Name: p.Name, Version: p.Version}.String()
}

// providerChange is the body of the routes that change the registry.
type providerChange struct {
	Name      string `json:"name,omitempty"`
	Program   string `json:"program,omitempty"`
	Dialect   string `json:"dialect,omitempty"`
	Provider  string `json:"provider,omitempty"`
	Component string `json:"component,omitempty"`
}

// Providers lists the providers of the node, the built-in one first.
func (c *Client) Providers(ctx context.Context) ([]Provider, error) {
	var list []Provider
	err := c.fetch(ctx, "/openflow/v1/user/provider/list", nil, &list)
	return list, err
}

// Provider finds a provider by "name:version", or by its name when it has one version.
func (c *Client) Provider(ctx context.Context, provider string) (Provider, error) {
	var p Provider
	err := c.fetch(ctx, "/openflow/v1/user/provider/show", query("provider", provider), &p)
	return p, err
}

// AddProvider registers a program, whose file is at that path of the node's machine. The node runs it to ask what it has. name
// is whose program it must say to be, and dialect what its containers speak; empty: the usual one. CodeConflict: that provider
// has another program in the same version, or this one in another dialect.
func (c *Client) AddProvider(ctx context.Context, name, program, dialect string) (Provider, error) {
	var p Provider
	_, err := c.tell(ctx, "/openflow/v1/user/provider/add", providerChange{Name: name, Program: program, Dialect: dialect}, &p)
	return p, err
}

// RemoveProvider forgets a provider. CodeConflict: runs that have not ended need it.
func (c *Client) RemoveProvider(ctx context.Context, provider string) (Provider, error) {
	return c.changeProvider(ctx, "/openflow/v1/user/provider/remove", provider)
}

// EnableProvider has a provider take new jobs, or no more of them. Jobs that it has go on.
func (c *Client) EnableProvider(ctx context.Context, provider string, enabled bool) (Provider, error) {
	if enabled {
		return c.changeProvider(ctx, "/openflow/v1/user/provider/enable", provider)
	}
	return c.changeProvider(ctx, "/openflow/v1/user/provider/disable", provider)
}

func (c *Client) changeProvider(ctx context.Context, path, provider string) (Provider, error) {
	var p Provider
	_, err := c.tell(ctx, path, providerChange{Provider: provider}, &p)
	return p, err
}

// Components lists what jobs may use at the node, of every provider that takes new jobs.
func (c *Client) Components(ctx context.Context) ([]wire.Component, error) {
	var list []wire.Component
	err := c.fetch(ctx, "/openflow/v1/user/component/list", nil, &list)
	return list, err
}

// Component gives the whole description of a component. An empty provider is the one that serves jobs which name none.
func (c *Client) Component(ctx context.Context, name, provider string) (wire.Component, error) {
	var one wire.Component
	err := c.fetch(ctx, "/openflow/v1/user/component/show", query("component", name, "provider", provider), &one)
	return one, err
}

// PreferProvider says which provider serves a component where the job names none; an empty one takes that back.
func (c *Client) PreferProvider(ctx context.Context, component, provider string) error {
	_, err := c.tell(ctx, "/openflow/v1/user/component/default", providerChange{Component: component, Provider: provider}, nil)
	return err
}
