package openflow

// Authority is on whose word a job runs at a party.
type Authority struct {
	Initiator PartyID // whose job it is
	Scheduler PartyID // who drives it, and has called
	Purpose   string  // what for, in the initiator's words; empty: it does not say
	// Signed tells that the initiator has signed the job, so its name and the purpose are proven. Otherwise both are what the
	// scheduler's record says.
	Signed bool
}

// String tells on whose word, for the record of decisions.
func (a Authority) String() string {
	proof := "not signed"
	if a.Signed {
		proof = "signed"
	}
	return "initiator " + string(a.Initiator) + ", scheduler " + string(a.Scheduler) + ", " + proof
}
