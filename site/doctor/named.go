package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"openflow"
)

// Named is a peer as the start of the node names it (--peer), beside its record. The record counts: it was changed on purpose.
type Named struct {
	Party   openflow.PartyID
	URL     string
	Key     string
	Plain   bool
	Record  openflow.SiteRecord
	Known   bool      // there is a record
	Removed time.Time // when the party was removed; zero: never
}

// Examine warns of what the record does not say, and tells how to change the one or the other.
func (n Named) Examine() openflow.Finding {
	check := "--peer " + string(n.Party)
	if !n.Known {
		when := "is no peer"
		if !n.Removed.IsZero() {
			when = "was removed on " + n.Removed.UTC().Format(time.RFC3339) + " and stays removed"
		}
		return warn(check, "names a party that "+when,
			fmt.Sprintf("start the node without this --peer; or bring the peer back: openflow site add %s --url %s --key %s%s", n.Party, n.URL, n.Key, flag(n.Plain)))
	}
	var differs, change []string
	if !slices.Contains(n.Record.Keys, n.Key) {
		differs = append(differs, fmt.Sprintf("the key %s, and its record has %s", n.Key, cmp.Or(strings.Join(n.Record.Keys, ", "), "none")))
		change = append(change, fmt.Sprintf("openflow site rotate %s --key %s", n.Party, n.Key))
	}
	if n.URL != n.Record.URL || n.Plain != n.Record.Plain {
		differs = append(differs, fmt.Sprintf("the address %s%s, and its record has %s%s", n.URL, way(n.Plain), n.Record.URL, way(n.Record.Plain)))
		change = append(change, fmt.Sprintf("openflow site add %s --url %s --key %s%s", n.Party, n.URL, n.Key, flag(n.Plain)))
	}
	if len(differs) == 0 {
		return ok(check, "says what the record says")
	}
	return warn(check, fmt.Sprintf("names %s; the record counts", strings.Join(differs, "; ")),
		fmt.Sprintf("if the record is right, start the node without this --peer; if not: %s", strings.Join(change, ", then ")))
}

func flag(plain bool) string {
	if plain {
		return " --plain"
	}
	return ""
}

func way(plain bool) string {
	if plain {
		return " (plain)"
	}
	return ""
}
