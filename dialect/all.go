package dialect

import (
	"slices"
	"strings"

	"openflow"
	"openflow/dialect/peer"
	"openflow/server/application"
	"openflow/server/base"
)

// All are the dialects of a node, the one of peers of which nothing is said first.
type All []Dialect

// Interconnection is what other nodes reach.
func (a All) Interconnection(n Node) (ms Mounts) {
	for _, d := range a {
		ms = append(ms, d.Interconnection(n)...)
	}
	return ms
}

// Packets is what nodes reach whose calls come in packets.
func (a All) Packets(n Node) (ms Mounts) {
	for _, d := range a {
		ms = append(ms, d.Packets(n)...)
	}
	return ms
}

// Application is what users reach.
func (a All) Application(s *application.Site) (ms Mounts) {
	for _, d := range a {
		ms = append(ms, d.Application(s)...)
	}
	return ms
}

// Base is what containers reach, and the machines of the site where s has them.
func (a All) Base(s *base.Site) (ms Mounts) {
	for _, d := range a {
		ms = append(ms, d.Base(s)...)
	}
	return ms
}

// BetweenNodes are those that nodes speak, the one of peers of which nothing is said first.
func (a All) BetweenNodes() (list All) {
	for _, d := range a {
		if d.Client(peer.Link{}) != nil {
			list = append(list, d)
		}
	}
	return list
}

// OfContainers are those that containers speak, the one of programs of which nothing is said first.
func (a All) OfContainers() (list All) {
	for _, d := range a {
		if d.Container() != nil {
			list = append(list, d)
		}
	}
	return list
}

// named is the one of that name, and the first where none is named. CodeInvalid: there is none of that name.
func (a All) named(name openflow.Dialect, what string) (Dialect, error) {
	names := make([]string, len(a))
	for i, d := range a {
		if name == "" || name == d.Name() {
			return d, nil
		}
		names[i] = string(d.Name())
	}
	return nil, openflow.Errorf(openflow.CodeInvalid, "%q is not a dialect of %s here", name, what).WithHint("use one of %s", strings.Join(names, ", "))
}

// Of is the dialect that the record of a peer names. CodeInvalid: nodes speak none of that name.
func (a All) Of(name openflow.Dialect) (Dialect, error) { return a.BetweenNodes().named(name, "nodes") }

// Spoken is the dialect that the containers of a program speak of which that one is said; the empty one means the usual. Errors:
// CodeInvalid, with those that containers speak.
func (a All) Spoken(name openflow.Dialect) (openflow.Dialect, error) {
	d, err := a.OfContainers().named(name, "containers")
	if err != nil {
		return "", err
	}
	return d.Name(), nil
}

// Told is the environment in which a container that speaks a dialect is told of its run. Errors: CodeInvalid.
func (a All) Told(speaks openflow.Dialect, r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]string, error) {
	d, err := a.OfContainers().named(speaks, "containers")
	if err != nil {
		return nil, err
	}
	return d.Container()(r, g, at)
}

// ContainerPrefixes are those below which containers call.
func (a All) ContainerPrefixes() []string {
	var list []string
	for _, m := range a.Base(&base.Site{}) {
		list = append(list, m.Prefix)
	}
	return list
}

// Sessions lists what a session is called in the dialects.
func (a All) Sessions(own openflow.SessionID) (names []string) {
	for _, d := range a {
		if c, err := d.Channel(own, ""); err == nil {
			names = append(names, c.Session)
		}
	}
	return names
}

// Complete fills in what the operator has left open of the way in which a peer talks, and refuses what is not spoken here.
// Errors: CodeInvalid.
func (a All) Complete(s openflow.SiteRecord) (openflow.SiteRecord, error) {
	d, err := a.Of(s.Dialect)
	if err != nil {
		return s, err
	}
	s.Dialect = d.Name()
	versions, profiles := d.Speaks()
	for _, said := range []struct {
		what  string
		value *string
		of    []string
	}{{"version", &s.Version, versions}, {"profile", &s.Profile, profiles}} {
		if *said.value == "" {
			*said.value = said.of[0]
		}
		if !slices.Contains(said.of, *said.value) {
			return s, openflow.Errorf(openflow.CodeInvalid, "the dialect %s has no %s %q here", s.Dialect, said.what, *said.value).
				WithHint("use one of %s", strings.Join(said.of, ", "))
		}
	}
	if ways := d.Ways(); !slices.Contains(ways, openflow.PeerWay(s.Way.String())) {
		names := make([]string, len(ways))
		for i, w := range ways {
			names[i] = string(w)
		}
		return s, openflow.Errorf(openflow.CodeInvalid, "calls in the dialect %s do not get to a peer by the way %q", s.Dialect, openflow.Cut(string(s.Way), 80)).
			WithHint("use one of %s", strings.Join(names, ", "))
	}
	return s, nil
}
