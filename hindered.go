package openflow

// Passage is one way on which what a run stores or sends may be held up, in words for the users of its site. They stand
// before "are refused".
type Passage string

// WhatItStores are the outputs of a run: tables, models and metrics.
const WhatItStores Passage = "its outputs"

// ToParty are the messages of a run to a party.
func ToParty(id PartyID) Passage { return Passage("its messages to party " + string(id)) }

// FromParty are the messages of a party to a run.
func FromParty(id PartyID) Passage { return Passage("the messages of party " + string(id)) }
