package openflow

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"
)

// Authority is on whose word a job runs at a party.
type Authority struct {
	Initiator PartyID // whose job it is
	Scheduler PartyID // who drives it, and has called
	Purpose   string  // what for, in the initiator's words; empty: it does not say
	// Signed tells that the initiator has signed the job, so its name and the purpose are proven. Otherwise both are what the
	// scheduler's record says: no more may follow from them than from the scheduler's own name.
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

// Mandate is the initiator's signed word about one job, as it travels: to the scheduler, and from there unchanged to every
// party. It names the job, its initiator and its scheduler, and holds hashes of what all parties may read of the job and of
// each party's own part. So a scheduler can do with it what the initiator has submitted, and nothing else.
type Mandate struct {
	Text      []byte // what is signed; site/trust writes and reads it
	Signature []byte // Ed25519, by the initiator's node
	// Salt is in the hashes of the parts, so that nobody guesses the part of another party from its hash. The scheduler has
	// that of the job, from which those of all parties follow; a party has its own only.
	Salt []byte
}

// The sizes of a mandate, in bytes. Text has at most a hash, a party ID and some signs for each party that a job may have.
const (
	MaxMandate       = MaxParties*(128+64+8) + 8<<10
	MandateSignature = 64
	MandateSalt      = sha256.Size
)

// MandateLife is how long after it was made a mandate may bring a job to a party. It is longer than any attempt to create a
// job takes, also over a restart. A job that a party has taken goes on, and may be run again, at any time.
const MandateLife = time.Hour

// For is the mandate as one site gets it: with the salt of its own part. That nobody has signed stays so.
func (m *Mandate) For(site PartyID) *Mandate {
	if m == nil {
		return nil
	}
	own := *m
	own.Salt = m.saltOf(site)
	return &own
}

func (m *Mandate) saltOf(site PartyID) []byte {
	h := hmac.New(sha256.New, m.Salt)
	h.Write([]byte(site)) // never fails
	return h.Sum(nil)
}

// MaxPurpose is how many bytes may say what a job is for.
const MaxPurpose = 500

// checkPurpose tells what is wrong with the words for what a job is for; empty: nothing.
func checkPurpose(text string) string {
	switch {
	case len(text) > MaxPurpose:
		return "it is too long"
	case Readable(text) != text || FirstLine(text) != text:
		return "it is not one line of readable text"
	}
	return ""
}
