package users

import (
	"context"
	"encoding/json"
	"net/http"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/reply"
	"openflow/site/registry"
)

// Provider is a provider of components as the application layer shows it.
type Provider struct {
	Name       string           `json:"name"`
	Version    string           `json:"version"`
	Kind       string           `json:"kind"`              // built-in, program, image or folder
	Place      string           `json:"place"`             // path of the program or archive, or reference of the image
	Digest     string           `json:"digest"`            // of the program; of an image its ID
	Archive    string           `json:"archive,omitempty"` // digest of the file that an image is loaded from
	Python     string           `json:"interpreter,omitempty"`
	Dialect    string           `json:"dialect"` // that its containers speak
	AddedBy    string           `json:"added_by"`
	AddedAt    *int64           `json:"added_at"`
	Components []wire.Component `json:"components"` // without their descriptions
}

func (a *api) encodeProvider(p openflow.ProviderRecord, components []openflow.ComponentRecord) Provider {
	out := Provider{
		Name: p.Name, Version: p.Version, Kind: string(p.Kind), Place: p.Place, Digest: p.Digest, Archive: p.Archive, Dialect: string(p.Dialect),
		Python: p.Interpreter, AddedBy: p.AddedBy, AddedAt: wire.Millis(p.AddedAt), Components: []wire.Component{},
	}
	for _, c := range components {
		out.Components = append(out.Components, a.encodeComponent(c, false).Listed())
	}
	return out
}

func (a *api) listProviders(r *http.Request) (any, error) {
	list, err := a.Providers.List(r.Context())
	if err != nil {
		return nil, err
	}
	standings, err := a.Providers.Standings(r.Context())
	out := make([]Provider, len(list))
	for i, p := range list {
		out[i] = a.encodeProvider(p, standings[p.Ref()])
	}
	return out, err
}

// reference reads a query value that must be there. It is bounded here, and checked by whoever knows what it names.
func reference(r *http.Request, key string) (string, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return "", openflow.Errorf(openflow.CodeInvalid, "invalid request: missing %s", key)
	}
	return text, wire.CheckText(key, text, maxReference)
}

// maxReference is how many bytes the reference of a provider may have.
const maxReference = 256

func (a *api) showProvider(r *http.Request) (any, error) {
	text, err := reference(r, "provider")
	if err != nil {
		return nil, err
	}
	p, components, err := a.Providers.Show(r.Context(), text)
	return a.encodeProvider(p, components), err
}

// ProviderChange is the body of the routes that change the registry.
type ProviderChange struct {
	Place        string            `json:"place,omitempty"`        // in register and check: a whole path, or the reference of an image
	Name         string            `json:"name,omitempty"`         // whose it must be; empty: whoever it says
	Version      string            `json:"version,omitempty"`      // likewise
	Interpreter  string            `json:"interpreter,omitempty"`  // runs the code of a folder, or of an image, that keeps FATE's contract
	Dialect      string            `json:"dialect,omitempty"`      // what its containers speak; empty: the usual
	Descriptions []json.RawMessage `json:"descriptions,omitempty"` // of components, given beside an image
	Signature    string            `json:"signature,omitempty"`    // of its publisher, in minisign's form
	SBOM         json.RawMessage   `json:"sbom,omitempty"`         // what it is made of, in CycloneDX's JSON
	Provider     string            `json:"provider,omitempty"`     // name:version
	Component    string            `json:"component,omitempty"`    // of that provider; in load and unload empty: all that it has
	Start        bool              `json:"start,omitempty"`        // in load: its resident containers too
}

// maxPlace is how many bytes a path or a reference may have.
const maxPlace = 4 << 10

func decodeChange(r *http.Request) (ProviderChange, error) {
	var b ProviderChange
	if err := reply.Decode(r, &b); err != nil {
		return b, err
	}
	for name, text := range map[string]string{"name": b.Name, "version": b.Version, "dialect": b.Dialect, "provider": b.Provider, "component": b.Component} {
		if err := wire.CheckText(name, text, maxReference); err != nil {
			return b, err
		}
	}
	if err := wire.CheckText("interpreter", b.Interpreter, maxPlace); err != nil {
		return b, err
	}
	return b, wire.CheckText("place", b.Place, maxPlace)
}

// registration reads what is to be registered or held against the contract.
func (a *api) registration(r *http.Request) (registry.Registration, error) {
	b, err := decodeChange(r)
	if err == nil && b.Place == "" {
		err = openflow.Errorf(openflow.CodeInvalid, "invalid request: missing place")
	}
	return registry.Registration{
		What: b.Place, Interpreter: b.Interpreter, Name: b.Name, Version: b.Version, Dialect: openflow.Dialect(b.Dialect), Descriptions: b.Descriptions, Papers: papersOf(b),
		User: a.Who(r),
	}, err
}

// registerProvider registers a program, archive or image of this node's machine.
func (a *api) registerProvider(r *http.Request) (any, error) {
	n, err := a.registration(r)
	if err != nil {
		return nil, err
	}
	p, components, err := a.Providers.Register(r.Context(), n)
	if err != nil {
		return nil, err
	}
	return a.encodeProvider(p, components), a.Audit(r, "provider", application.ProviderSubject(p))
}

// checkComponent holds an image against the contract.
func (a *api) checkComponent(r *http.Request) (any, error) {
	n, err := a.registration(r)
	if err != nil {
		return nil, err
	}
	found, err := a.Providers.Hold(r.Context(), n)
	return encodeFindings(found), err
}

func (a *api) removeProvider(r *http.Request) (any, error) {
	b, err := decodeChange(r)
	if err != nil {
		return nil, err
	}
	p, err := a.Providers.Remove(r.Context(), b.Provider, a.Who(r))
	if err != nil {
		return nil, err
	}
	return a.encodeProvider(p, nil), a.Audit(r, "provider", p.Ref().String()+" "+p.Digest)
}

// ComponentChange is a change of how a component stands.
type ComponentChange struct {
	Component string `json:"component"`
	Provider  string `json:"provider"` // name:version
	From      string `json:"from"`
	To        string `json:"to"`
	Reason    string `json:"reason,omitempty"`
	Time      *int64 `json:"time"`
}

func (a *api) loadComponent(r *http.Request) (any, error) {
	return a.changeComponent(r, func(ctx context.Context, b ProviderChange, user string) ([]openflow.ComponentChange, error) {
		if b.Start {
			return a.Providers.LoadAndStart(ctx, b.Component, b.Provider, user)
		}
		return a.Providers.Load(ctx, b.Component, b.Provider, user)
	})
}

func (a *api) unloadComponent(r *http.Request) (any, error) {
	return a.changeComponent(r, func(ctx context.Context, b ProviderChange, user string) ([]openflow.ComponentChange, error) {
		return a.Providers.Unload(ctx, b.Component, b.Provider, user)
	})
}

// changeComponent changes how components stand. The catalogue audits that itself.
func (a *api) changeComponent(
	r *http.Request, do func(ctx context.Context, b ProviderChange, user string) ([]openflow.ComponentChange, error),
) (any, error) {
	b, err := decodeChange(r)
	if err != nil {
		return nil, err
	}
	if b.Component == "" && b.Provider == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "invalid request: missing component or provider")
	}
	made, err := do(r.Context(), b, a.Who(r))
	out := make([]ComponentChange, len(made))
	for i, c := range made {
		out[i] = ComponentChange{c.Component, c.Provider.String(), string(c.From), string(c.To), c.Reason, wire.Millis(c.At)}
	}
	return out, err
}

// encodeComponent renders a component whose runs have this node's runtime.
func (a *api) encodeComponent(c openflow.ComponentRecord, isDefault bool) wire.Component {
	return wire.EncodeComponent(c, isDefault, a.About().Runtime)
}

func (a *api) listComponents(r *http.Request) (any, error) {
	list, err := a.Providers.Offers(r.Context())
	out := make([]wire.Component, len(list))
	for i, o := range list {
		out[i] = a.encodeComponent(o.ComponentRecord, o.Default).Listed()
	}
	return out, err
}

// showComponent gives the whole description of a component, whether jobs may use it or not: of the provider that is asked for, or
// else of the one that serves jobs which name none.
func (a *api) showComponent(r *http.Request) (any, error) {
	name, err := reference(r, "component")
	if err != nil {
		return nil, err
	}
	provider := r.URL.Query().Get("provider")
	if err := wire.CheckText("provider", provider, maxReference); err != nil {
		return nil, err
	}
	o, err := a.Providers.Offer(r.Context(), name, provider)
	return a.encodeComponent(o.ComponentRecord, o.Default), err
}

// preferProvider says which provider serves a component where the job names none.
func (a *api) preferProvider(r *http.Request) (any, error) {
	b, err := decodeChange(r)
	if err != nil {
		return nil, err
	}
	if err := a.Providers.Prefer(r.Context(), b.Component, b.Provider); err != nil {
		return nil, err
	}
	return nil, a.Audit(r, "component", b.Component+" "+b.Provider)
}
