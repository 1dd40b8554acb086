package wire

import (
	"time"

	"openflow"
)

// Grants is the data of the routes of grants in our own dialect, and the body with which some are made.
type Grants struct {
	Grants []Grant `json:"grants"`
}

// Grant is an openflow.Grant.
type Grant struct {
	ID         string             `json:"id,omitempty"`
	Kind       string             `json:"kind"`                // use, initiate, schedule
	Initiator  Text               `json:"initiator,omitempty"` // whose jobs; empty: of everybody who may initiate here
	Scheduler  Text               `json:"scheduler,omitempty"` // who drives them; empty: whoever may schedule here
	Components []GrantedComponent `json:"components,omitempty"`
	Tables     []GrantedTable     `json:"tables,omitempty"`
	Models     []GrantedModel     `json:"models,omitempty"`
	Purpose    string             `json:"purpose,omitempty"`
	Partners   []Text             `json:"partners,omitempty"`
	Limits     []GrantLimit       `json:"limits,omitempty"`
	Uses       int                `json:"uses,omitempty"` // 0: any number
	Used       int                `json:"used,omitempty"`
	Until      *int64             `json:"until,omitempty"` // milliseconds since 1970
	By         string             `json:"by,omitempty"`
	Made       *int64             `json:"made,omitempty"`
	Says       string             `json:"says,omitempty"` // all of it in words; not read
}

// GrantedComponent is a component of a grant.
type GrantedComponent struct {
	Name     string `json:"name"`
	Provider string `json:"provider,omitempty"`
	Version  string `json:"version,omitempty"`
	Digest   string `json:"digest,omitempty"`
}

// GrantedTable is a table of a grant, or some columns of it.
type GrantedTable struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Columns   []string `json:"columns,omitempty"`
}

// GrantedModel is a model of a grant.
type GrantedModel struct {
	ID      string `json:"model_id"`
	Version string `json:"model_version,omitempty"` // empty: all of that ID
}

// GrantLimit is what a grant wants of a parameter.
type GrantLimit struct {
	Component string   `json:"component"`
	Parameter string   `json:"parameter"`
	Relation  string   `json:"relation"` // >=, <= or =
	Values    []string `json:"values"`
}

// EncodeGrant renders g.
func EncodeGrant(g openflow.Grant) Grant {
	out := Grant{
		ID: string(g.ID), Kind: string(g.Kind), Initiator: Text(g.Initiator), Scheduler: Text(g.Scheduler), Purpose: g.Purpose,
		Uses: g.Uses, Used: g.Used, Until: Millis(g.Until), By: g.By, Made: Millis(g.Made), Says: g.String(),
	}
	for _, c := range g.Components {
		out.Components = append(out.Components, GrantedComponent(c))
	}
	for _, t := range g.Tables {
		out.Tables = append(out.Tables, GrantedTable{t.Name.Namespace, t.Name.Name, t.Columns})
	}
	for _, m := range g.Models {
		out.Models = append(out.Models, GrantedModel(m))
	}
	for _, p := range g.Partners {
		out.Partners = append(out.Partners, Text(p))
	}
	for _, l := range g.Limits {
		out.Limits = append(out.Limits, GrantLimit(l))
	}
	return out
}

// Decode is what EncodeGrant has rendered.
func (g Grant) Decode() openflow.Grant {
	out := openflow.Grant{
		ID: openflow.GrantID(g.ID), Kind: openflow.GrantKind(g.Kind), Initiator: openflow.PartyID(g.Initiator),
		Scheduler: openflow.PartyID(g.Scheduler), Purpose: g.Purpose, Uses: g.Uses, Used: g.Used, By: g.By, Until: pointInTime(g.Until), Made: pointInTime(g.Made),
	}
	for _, c := range g.Components {
		out.Components = append(out.Components, openflow.GrantedComponent(c))
	}
	for _, t := range g.Tables {
		out.Tables = append(out.Tables, openflow.GrantedTable{Name: openflow.TableName{Namespace: t.Namespace, Name: t.Name}, Columns: t.Columns})
	}
	for _, m := range g.Models {
		out.Models = append(out.Models, openflow.ModelRef(m))
	}
	for _, p := range g.Partners {
		out.Partners = append(out.Partners, openflow.PartyID(p))
	}
	for _, l := range g.Limits {
		out.Limits = append(out.Limits, openflow.ParameterLimit(l))
	}
	return out
}

func pointInTime(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}
