package document

import "openflow"

// GrantTerms are what an openflow.Grant gives, and on which terms.
type GrantTerms struct {
	Components []GrantedComponent `json:"components,omitempty"`
	Tables     []GrantedTable     `json:"tables,omitempty"`
	Models     []ModelRef         `json:"models,omitempty"`
	Partners   []openflow.PartyID `json:"partners,omitempty"`
	Limits     []ParameterLimit   `json:"limits,omitempty"`
}

// GrantedComponent is an openflow.GrantedComponent.
type GrantedComponent struct {
	Name     string `json:"name,omitzero"`
	Provider string `json:"provider,omitzero"`
	Version  string `json:"version,omitzero"`
	Digest   string `json:"digest,omitzero"`
}

// GrantedTable is an openflow.GrantedTable.
type GrantedTable struct {
	Namespace string   `json:"namespace,omitzero"`
	Name      string   `json:"name,omitzero"`
	Columns   []string `json:"columns,omitempty"`
}

// ParameterLimit is an openflow.ParameterLimit.
type ParameterLimit struct {
	Component string   `json:"component,omitzero"`
	Parameter string   `json:"parameter,omitzero"`
	Relation  string   `json:"relation,omitzero"`
	Values    []string `json:"values,omitempty"`
}

// EncodeTerms renders what g gives, and on which terms.
func EncodeTerms(g openflow.Grant) GrantTerms {
	return GrantTerms{
		Components: each(g.Components, func(c openflow.GrantedComponent) GrantedComponent { return GrantedComponent(c) }),
		Tables: each(g.Tables, func(t openflow.GrantedTable) GrantedTable {
			return GrantedTable{Namespace: t.Name.Namespace, Name: t.Name.Name, Columns: t.Columns}
		}),
		Models: each(g.Models, encodeModel), Partners: g.Partners,
		Limits: each(g.Limits, func(l openflow.ParameterLimit) ParameterLimit { return ParameterLimit(l) }),
	}
}

// DecodeInto fills in what a grant gives, and on which terms.
func (t GrantTerms) DecodeInto(g *openflow.Grant) {
	g.Components = each(t.Components, func(c GrantedComponent) openflow.GrantedComponent { return openflow.GrantedComponent(c) })
	g.Tables = each(t.Tables, func(t GrantedTable) openflow.GrantedTable {
		return openflow.GrantedTable{Name: openflow.TableName{Namespace: t.Namespace, Name: t.Name}, Columns: t.Columns}
	})
	g.Models, g.Partners = each(t.Models, decodeModel), t.Partners
	g.Limits = each(t.Limits, func(l ParameterLimit) openflow.ParameterLimit { return openflow.ParameterLimit(l) })
}
