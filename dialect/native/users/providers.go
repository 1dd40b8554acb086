package users

import (
	"net/http"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// Provider is a provider of components as the application layer shows it.
type Provider struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Kind       string   `json:"kind"` // built-in or program
	Program    string   `json:"program"`
	Digest     string   `json:"digest"`
	Dialect    string   `json:"dialect"` // that its containers speak
	Enabled    bool     `json:"enabled"`
	AddedBy    string   `json:"added_by"`
	AddedAt    *int64   `json:"added_at"`
	Components []string `json:"components,omitempty"` // in show and add, like what follows
	Warnings   []string `json:"warnings,omitempty"`   // what of their descriptions is ignored, or was made up for
}

func encodeProvider(p openflow.ProviderRecord, components []openflow.ComponentRecord) Provider {
	out := Provider{
		Name: p.Name, Version: p.Version, Kind: string(p.Kind), Program: p.Place, Digest: p.Digest, Dialect: string(p.Dialect),
		Enabled: p.Enabled, AddedBy: p.AddedBy, AddedAt: wire.Millis(p.AddedAt),
	}
	for _, c := range components {
		out.Components = append(out.Components, c.Name)
		for _, text := range c.Warnings {
			out.Warnings = append(out.Warnings, c.Name+": "+text)
		}
	}
	return out
}

func (a *api) listProviders(r *http.Request) (any, error) {
	list, err := a.Providers.List(r.Context())
	out := make([]Provider, len(list))
	for i, p := range list {
		out[i] = encodeProvider(p, nil)
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
	return encodeProvider(p, components), err
}

// ProviderChange is the body of the routes that change the registry.
type ProviderChange struct {
	Name      string `json:"name,omitempty"`      // in add: whose the program is
	Program   string `json:"program,omitempty"`   // in add: its path
	Dialect   string `json:"dialect,omitempty"`   // in add: what its containers speak; empty: the usual
	Provider  string `json:"provider,omitempty"`  // name:version
	Component string `json:"component,omitempty"` // in default
}

func decodeChange(r *http.Request) (ProviderChange, error) {
	var b ProviderChange
	if err := reply.Decode(r, &b); err != nil {
		return b, err
	}
	for name, text := range map[string]string{"name": b.Name, "dialect": b.Dialect, "provider": b.Provider, "component": b.Component} {
		if err := wire.CheckText(name, text, maxReference); err != nil {
			return b, err
		}
	}
	return b, nil
}

// addProvider registers a program of this node's machine.
func (a *api) addProvider(r *http.Request) (any, error) {
	b, err := decodeChange(r)
	if err != nil {
		return nil, err
	}
	p, components, err := a.Providers.Add(r.Context(), b.Name, b.Program, openflow.Dialect(b.Dialect), r.Header.Get(wire.UserHeader))
	if err != nil {
		return nil, err
	}
	return encodeProvider(p, components), a.Audit(r, "provider", p.Ref().String()+" "+p.Place+" "+p.Digest+" "+string(p.Dialect))
}

func (a *api) changeProvider(r *http.Request, do func(provider string) (openflow.ProviderRecord, error)) (any, error) {
	b, err := decodeChange(r)
	if err != nil {
		return nil, err
	}
	p, err := do(b.Provider)
	if err != nil {
		return nil, err
	}
	return encodeProvider(p, nil), a.Audit(r, "provider", p.Ref().String()+" "+p.Digest)
}

func (a *api) removeProvider(r *http.Request) (any, error) {
	return a.changeProvider(r, func(provider string) (openflow.ProviderRecord, error) {
		return a.Providers.Remove(r.Context(), provider)
	})
}

func (a *api) enableProvider(r *http.Request) (any, error) {
	return a.changeProvider(r, func(provider string) (openflow.ProviderRecord, error) {
		return a.Providers.Enable(r.Context(), provider, true)
	})
}

func (a *api) disableProvider(r *http.Request) (any, error) {
	return a.changeProvider(r, func(provider string) (openflow.ProviderRecord, error) {
		return a.Providers.Enable(r.Context(), provider, false)
	})
}

func (a *api) listComponents(r *http.Request) (any, error) {
	list, err := a.Providers.Offers(r.Context())
	out := make([]wire.Component, len(list))
	for i, o := range list {
		out[i] = wire.EncodeComponent(o.ComponentRecord, o.Default, a.Providers.Device).Listed()
	}
	return out, err
}

// showComponent gives the whole description of a component: of the provider that is asked for, or else of the one that serves
// jobs which name none.
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
	return wire.EncodeComponent(o.ComponentRecord, o.Default, a.Providers.Device), err
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
