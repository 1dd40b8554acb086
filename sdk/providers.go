package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// Provider is a provider of components in the node's registry.
type Provider struct {
	Name       string           `json:"name"`
	Version    string           `json:"version"`
	Kind       string           `json:"kind"`        // built-in, program, image or folder
	Place      string           `json:"place"`       // path of the program or archive at the node, or reference of the image
	Digest     string           `json:"digest"`      // of the program; of an image its ID
	Archive    string           `json:"archive"`     // digest of the file that an image is loaded from
	Python     string           `json:"interpreter"` // that runs its code, of FATE's contract; empty: it is a program of its own
	Dialect    string           `json:"dialect"`     // that its containers speak
	AddedBy    string           `json:"added_by"`    // user
	AddedAt    int64            `json:"added_at"`    // milliseconds since 1970
	Components []wire.Component `json:"components"`  // without their descriptions
}

// Ref names the provider.
func (p Provider) Ref() string {
	return openflow.ProviderRef{Name: p.Name, Version: p.Version}.String()
}

// ComponentChange is a change of how a component stands.
type ComponentChange struct {
	Component string `json:"component"`
	Provider  string `json:"provider"` // name:version
	From      string `json:"from"`
	To        string `json:"to"`
	Reason    string `json:"reason,omitempty"`
	Time      int64  `json:"time"` // milliseconds since 1970
}

// Registration is what is to be registered, or held against the contract of images.
type Registration struct {
	// Place is the whole path of a program or of an image's archive at the node's machine, or the reference of an image that
	// its runtime has.
	Place string `json:"place"`
	// Interpreter runs the code at Place, a folder or an image of it, that keeps FATE's component contract: a path at the node's machine, or a
	// name or path in the image. Empty: what is registered is a program of its own.
	Interpreter string `json:"interpreter,omitempty"`
	// Name and Version are whose it must say to be; empty: whoever it says.
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	Dialect string `json:"dialect,omitempty"` // of its containers; empty: the usual one
	// Descriptions of components are given beside an image that does not describe itself.
	Descriptions []json.RawMessage `json:"descriptions,omitempty"`
	// Signature is its publisher's, in minisign's form: of the file, or of the text of its digest.
	Signature string `json:"signature,omitempty"`
	// SBOM lists what it is made of, in CycloneDX's JSON.
	SBOM json.RawMessage `json:"sbom,omitempty"`
}

// ProviderPapers tell who vouches for a provider, what it is made of, and how that stands by the node's policy.
type ProviderPapers struct {
	Provider        string          `json:"provider"`            // name:version
	SignedBy        string          `json:"signed_by,omitempty"` // the publisher's key, by its ID and in words
	Comment         string          `json:"comment,omitempty"`   // that the publisher has signed
	Origin          string          `json:"origin,omitempty"`    // of the SBOM
	SBOM            json.RawMessage `json:"sbom,omitempty"`      // CycloneDX
	Vulnerabilities []Vulnerability `json:"vulnerabilities"`     // known ones, the worst first
	Refused         string          `json:"refused,omitempty"`   // why it may not run; empty: it may
	Warnings        []string        `json:"warnings,omitempty"`
}

// Vulnerability is a known weakness of something that a provider's program or image is made of.
type Vulnerability struct {
	ID       string   `json:"id"`
	Package  string   `json:"package"`
	Version  string   `json:"version"`
	Severity string   `json:"severity,omitempty"` // empty: nobody has rated it
	Fixed    []string `json:"fixed,omitempty"`    // versions that mend it
	Summary  string   `json:"summary,omitempty"`
}

// ProviderPapers finds the papers of a provider. CodeNotFound: it is not registered.
func (c *Client) ProviderPapers(ctx context.Context, provider string) (ProviderPapers, error) {
	var p ProviderPapers
	err := c.fetch(ctx, "/openflow/v1/user/provider/papers", query("provider", provider), &p)
	return p, err
}

// providerChange is the body of the routes that change the registry.
type providerChange struct {
	Provider  string `json:"provider,omitempty"`
	Component string `json:"component,omitempty"`
	Start     bool   `json:"start,omitempty"`
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

// RegisterProvider registers a program or an image. The node runs it to ask what it has. CodeConflict: its provider has something
// else in the same version, or this in another dialect.
func (c *Client) RegisterProvider(ctx context.Context, r Registration) (Provider, error) {
	var p Provider
	err := c.wait(ctx, "/openflow/v1/user/provider/register", r, &p)
	return p, err
}

// RemoveProvider forgets a provider. CodeConflict: runs that have not ended need it.
func (c *Client) RemoveProvider(ctx context.Context, provider string) (Provider, error) {
	var p Provider
	_, err := c.tell(ctx, "/openflow/v1/user/provider/remove", providerChange{Provider: provider}, &p)
	return p, err
}

// CheckComponent holds a program or an image against the contract, point by point. Nothing is registered.
func (c *Client) CheckComponent(ctx context.Context, r Registration) ([]Finding, error) {
	var found []Finding
	err := c.wait(ctx, "/openflow/v1/user/component/check", r, &found)
	return found, err
}

// LoadComponent lets jobs use a component. An empty component is all that the provider has, and an empty provider the only one
// that has the component. What was loaded already is not among the changes. CodeNotFound, CodeConflict: what it runs is gone, or
// has changed; the component has failed then.
func (c *Client) LoadComponent(ctx context.Context, component, provider string) ([]ComponentChange, error) {
	return c.changeComponent(ctx, "/openflow/v1/user/component/load", component, provider)
}

// StartComponent is LoadComponent, and starts the resident containers before their first run. It waits until they serve. Errors:
// also CodeInvalid (nothing of it is resident), CodeUnavailable (a container did not get ready).
func (c *Client) StartComponent(ctx context.Context, component, provider string) ([]ComponentChange, error) {
	var made []ComponentChange
	err := c.wait(ctx, "/openflow/v1/user/component/load", providerChange{Provider: provider, Component: component, Start: true}, &made)
	return made, err
}

// UnloadComponent keeps new jobs from a component; those that use it go on. What is empty means what it means to LoadComponent.
func (c *Client) UnloadComponent(ctx context.Context, component, provider string) ([]ComponentChange, error) {
	return c.changeComponent(ctx, "/openflow/v1/user/component/unload", component, provider)
}

func (c *Client) changeComponent(ctx context.Context, path, component, provider string) ([]ComponentChange, error) {
	var made []ComponentChange
	err := c.wait(ctx, path, providerChange{Provider: provider, Component: component}, &made)
	return made, err
}

// imageTimeout is how long the node may take where it gives an image to its runtime, or pulls one: it gives up before.
const imageTimeout = 15 * time.Minute

// wait is tell with that patience.
func (c *Client) wait(ctx context.Context, path string, body, into any) error {
	r, err := post(path, body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, imageTimeout, fmt.Errorf("no answer within %s", imageTimeout))
	defer cancel()
	_, err = c.exchange(ctx, r, into)
	return err
}

// Components lists the components of the node, of every provider. The state of each says whether jobs may use it.
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
