// Package examples holds job documents that work, and small tables of two invented institutions to run them on. README.md
// beside this file walks through them.
package examples

import (
	"embed"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

//go:embed *.yaml
var documents embed.FS

// Names lists the job documents, in the order in which a reader meets them.
func Names() []string { return []string{"psi", "train", "predict"} }

// Changes replaces what is particular to one's own sites in a document. What is empty stays as it is in the example.
type Changes struct {
	Guest, Host, Arbiter  openflow.PartyID
	GuestTable, HostTable openflow.TableName // a zero one stays
	Model                 string             // that predict reads
}

// Job is the document of that name in YAML, with its comments. CodeNotFound: there is none of that name.
func Job(name string, c Changes) (string, error) {
	if !slices.Contains(Names(), name) {
		return "", openflow.Errorf(openflow.CodeNotFound, "there is no example %q", name).
			WithHint("use %s", strings.Join(Names(), ", "))
	}
	text, err := documents.ReadFile(name + ".yaml")
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInternal, "the example %q is not in this program: %w", name, err)
	}
	var pairs []string
	swap := func(old, value string) { pairs = append(pairs, old, value) }
	party := func(role openflow.Role, old string, id openflow.PartyID) {
		if id != "" {
			swap(strconv.Quote(old), strconv.Quote(string(id)))
			swap(string(role)+"_"+old+":", string(role)+"_"+string(id)+":")
		}
	}
	table := func(old string, n openflow.TableName) {
		if n != (openflow.TableName{}) {
			swap("namespace: example, name: "+old+"}", "namespace: "+strconv.Quote(n.Namespace)+", name: "+strconv.Quote(n.Name)+"}")
		}
	}
	party(openflow.RoleGuest, "9999", c.Guest)
	party(openflow.RoleHost, "10000", c.Host)
	party(openflow.RoleArbiter, "10001", c.Arbiter)
	for _, suffix := range []string{"", "_new"} {
		table("customers"+suffix, c.GuestTable)
		table("accounts"+suffix, c.HostTable)
	}
	if c.Model != "" {
		swap(strconv.Quote("MODEL"), strconv.Quote(c.Model))
	}
	return strings.NewReplacer(pairs...).Replace(string(text)), nil
}
