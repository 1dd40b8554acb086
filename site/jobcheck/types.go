package jobcheck

import (
	"slices"
	"strings"

	"openflow"
)

// unresolved is what an output is that only points to a table, which may be of any type.
const unresolved = "data_unresolved"

// fits checks that what a channel brings is of a type that its input takes, where it can be followed to the output that makes
// it, or to a table of this site.
func (v *view) fits(s openflow.TaskSpec, path string, kind openflow.InputKind, a openflow.ComponentArtifact, ch openflow.Channel) {
	if kind != openflow.InputData || len(a.Types) == 0 || slices.Contains(a.Types, unresolved) {
		return
	}
	path += "." + string(ch.Source)
	if made, ok := v.made(ch); ok && !slices.Contains(made.Types, unresolved) {
		if !slices.ContainsFunc(made.Types, func(t string) bool { return slices.Contains(a.Types, t) }) {
			v.wrong(s, path, remedyOfType(made.Types), "it takes a %s, and task %q writes a %s", either(a.Types), ch.ProducerTask, either(made.Types))
		}
		return
	}
	name, followed := v.table(ch)
	if !followed || v.party.ID != v.site.Self || v.site.Type == nil {
		return
	}
	has, known := v.site.Type(name)
	if known && !slices.Contains(a.Types, has) {
		v.add(s, openflow.Mistake{
			Path: path, Message: "it does not fit this party's data", Remedy: remedyOfType([]string{has}),
			Private: "table " + name.String() + " is a " + has + ", and a " + either(a.Types) + " is wanted",
		})
	}
}

// made is the output that a channel takes, as its component here describes it.
func (v *view) made(ch openflow.Channel) (openflow.ComponentArtifact, bool) {
	producer, here := v.specs[ch.ProducerTask]
	if ch.Source != openflow.FromTask || !here {
		return openflow.ComponentArtifact{}, false
	}
	c, unfound := v.site.Find(producer)
	if unfound != nil {
		return openflow.ComponentArtifact{}, false
	}
	out, has := c.Outputs[openflow.InputData][ch.OutputKey]
	return out, has && len(out.Types) > 0
}

func either(types []string) string { return strings.Join(types, " or ") }

// remedyOfType says how to come from a type to another.
func remedyOfType(has []string) string {
	if slices.Contains(has, openflow.TypeRaw) {
		return "make a dataframe of the raw table first: dataframe_transformer"
	}
	return "take a table or output of that type"
}
