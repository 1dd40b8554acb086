package users

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/reply"
	"openflow/site/registry"
)

// ProviderBody is the body of provider/register.
//
// Spec: fate-flow-api §1.6 #31.
type ProviderBody struct {
	Name     string `json:"name" check:"required"`
	Device   string `json:"device" check:"required"`
	Version  string `json:"version" check:"required"`
	Metadata struct {
		Path  string `json:"path"`  // of a folder of code, or of a program, on device local
		Venv  string `json:"venv"`  // interpreter that runs the code of a folder, or of an image
		Image string `json:"image"` // a reference or the path of an archive, on device docker
	} `json:"metadata" check:"required"`
	Descriptions map[string]json.RawMessage `json:"components_description"`
	Protocol     string                     `json:"protocol"` // of its containers; empty: FATE's
}

// fatesOwn is the protocol of containers that FATE-Flow starts itself.
const fatesOwn = "fate"

// what is the program or image that is to be registered. Errors: CodeInvalid.
func (b ProviderBody) what(device string) (string, error) {
	if b.Protocol != "" && b.Protocol != fatesOwn {
		return "", openflow.Errorf(openflow.CodeInvalid, "protocol %q is not spoken here: containers are told what they run as FATE-Flow tells them", openflow.Cut(b.Protocol, 80)).
			WithHint("register an image that keeps docs/spec/algorithm-image.md, with the protocol %q or none", fatesOwn)
	}
	if b.Device != device {
		return "", openflow.About(openflow.AboutDevice, openflow.Errorf(openflow.CodeInvalid, "Device not supported: device[%s]", openflow.Cut(b.Device, 80)).
			WithHint("this site runs its tasks on device %s", device))
	}
	place := b.Metadata.Image
	if device == "local" {
		place = b.Metadata.Path
	}
	if place == "" {
		return "", openflow.Errorf(openflow.CodeInvalid, "metadata names no image and no path")
	}
	return place, nil
}

// registerProvider registers an image, or on device local a program. What it describes itself as must be of that name and
// version.
func (a *api) registerProvider(r *http.Request) (any, error) {
	var b ProviderBody
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	what, err := b.what(a.Providers.Device)
	if err != nil {
		return nil, err
	}
	n := registry.Registration{What: what, Interpreter: b.Metadata.Venv, Name: b.Name, Version: b.Version, User: a.Who(r)}
	for _, name := range slices.Sorted(maps.Keys(b.Descriptions)) {
		n.Descriptions = append(n.Descriptions, b.Descriptions[name])
	}
	before, err := a.providers(r, providerQuery{Name: b.Name, Version: b.Version})
	if err != nil {
		return nil, err
	}
	p, _, err := a.Providers.Register(r.Context(), n)
	if err != nil {
		return nil, err
	}
	if err := a.Audit(r, "provider", application.ProviderSubject(p)); err != nil {
		return nil, err
	}
	if len(before) > 0 {
		return envelope.Done{Message: "update success"}, nil
	}
	return envelope.Done{Message: "create success"}, nil
}

// providerQuery says which providers are meant; what is empty is any.
type providerQuery struct {
	Name     string `json:"name"`
	Device   string `json:"device"`
	Version  string `json:"version"`
	Provider string `json:"provider_name"` // name:version@device
}

// providers are those that fit, none where nothing is asked.
func (a *api) providers(r *http.Request, q providerQuery) ([]openflow.ProviderRecord, error) {
	if q == (providerQuery{}) {
		return nil, nil
	}
	wanted, err := openflow.ParseProvider(q.Provider)
	if err != nil {
		return nil, err
	}
	device := a.Providers.Device
	list, err := a.Providers.List(r.Context())
	fits := func(is string, said ...string) bool {
		return !slices.ContainsFunc(said, func(s string) bool { return s != "" && s != is })
	}
	return slices.DeleteFunc(list, func(p openflow.ProviderRecord) bool {
		return !fits(p.Name, q.Name, wanted.Name) || !fits(p.Version, q.Version, wanted.Version) || !fits(device, q.Device, wanted.Device)
	}), err
}

// ProviderRow is a provider as FATE-Flow shows it.
type ProviderRow struct {
	ProviderName string            `json:"provider_name"`
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Device       string            `json:"device"`
	Metadata     map[string]string `json:"metadata"`
	CreateTime   *int64            `json:"create_time"`
	UpdateTime   *int64            `json:"update_time"`
}

func (a *api) queryProviders(r *http.Request) (any, error) {
	q := r.URL.Query()
	list, err := a.providers(r, providerQuery{q.Get("name"), q.Get("device"), q.Get("version"), q.Get("provider_name")})
	rows := make([]ProviderRow, len(list))
	for i, p := range list {
		ref := p.Ref()
		ref.Device = a.Providers.Device
		rows[i] = ProviderRow{
			ProviderName: ref.String(), Name: p.Name, Version: p.Version, Device: ref.Device, Metadata: map[string]string{"path": p.Place},
			CreateTime: wire.Millis(p.AddedAt), UpdateTime: wire.Millis(p.AddedAt),
		}
		if p.Kind == openflow.ProviderImage {
			rows[i].Metadata = map[string]string{"image": p.Place, "digest": p.Digest}
		}
		if p.Interpreter != "" {
			rows[i].Metadata["venv"] = p.Interpreter
		}
	}
	return rows, err
}

// deleteProviders removes those that fit, with their components, and tells whether there was any. If one of them cannot be
// removed, none is.
func (a *api) deleteProviders(r *http.Request) (any, error) {
	var q providerQuery
	if err := reply.Decode(r, &q); err != nil {
		return nil, err
	}
	if q == (providerQuery{}) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "name the provider: name, version, device or provider_name")
	}
	list, err := a.providers(r, q)
	if err != nil {
		return nil, err
	}
	if err := a.Providers.RemoveAll(r.Context(), list, a.Who(r)); err != nil {
		return nil, err
	}
	for _, p := range list {
		if err := a.Audit(r, "provider", p.Ref().String()+" "+p.Digest); err != nil {
			return nil, err
		}
	}
	return len(list) > 0, nil
}
