package doctor

import (
	"fmt"
	"strings"
	"time"

	"openflow"
)

// Listener is what one of a node's listeners shows to those who call it.
type Listener struct {
	Of      string // who calls
	Address string
	Beyond  bool      // other machines may reach it
	Plain   bool      // it speaks no TLS
	Own     bool      // the certificate is of the node's own making
	Names   []string  // hosts in the certificate
	Ends    time.Time // the certificate; zero: the node's key is shown
	Err     error     // why another certificate is shown than there should be
}

// endsSoon is how long before its end a certificate is warned of.
const endsSoon = 30 * 24 * time.Hour

// Examine checks that those who call can know whom they call, and for how long.
func (l Listener) Examine(now time.Time) openflow.Finding {
	check := "listener of " + l.Of
	switch {
	case l.Plain && l.Beyond:
		return warn(check, l.Address+" speaks no TLS, and other machines may reach it: what is said there can be read on the way",
			"start the node without the flag that asks for that (--plain, --plain-workers, --listen-plain), or put TLS in front of it")
	case l.Plain:
		return ok(check, l.Address+" speaks no TLS, for programs of this machine")
	case l.Err != nil:
		return warn(check, fmt.Sprintf("%s shows what it has shown before, until %s: %v", l.Address, date(l.Ends), l.Err),
			"mend the files; the node reads them again when they change")
	case l.Ends.IsZero():
		return ok(check, l.Address+" shows the node's key")
	}
	what := "a certificate of an operator's"
	remedy := "put a new certificate and its key in place of the files; the node reads them again when they change"
	if l.Own {
		what, remedy = "a certificate of its own making", "the node renews it by itself, with a clock that is right: check the machine's"
	}
	return ending(check, fmt.Sprintf("%s shows %s for %s", l.Address, what, strings.Join(l.Names, ", ")), remedy, l.Ends, now)
}

// Authorities checks how long those hold whose certificates count besides the keys of peers.
func Authorities(ends, now time.Time, err error) openflow.Finding {
	const check = "authorities of peers"
	if err != nil {
		return warn(check, fmt.Sprintf("those of before are believed, until %s: %v", date(ends), err), "mend the file of --peer-ca; the node reads it again when it changes")
	}
	return ending(check, "those in the file of --peer-ca are believed", "put those that follow them into the file; the node reads it again when it changes", ends, now)
}

// Services checks that those on other machines are called in TLS. plain are those that are not, each with where it is.
func Services(plain []string) openflow.Finding {
	const check = "ways to services"
	if len(plain) == 0 {
		return ok(check, "shared services are on this machine, or called in TLS")
	}
	return warn(check, "called without TLS on other machines: "+few(plain)+"; passwords and data can be read on the way",
		"use rediss://, sslmode=verify-full, s3:// without tls=false, --temporal-ca; or see that the way is private")
}

// ending judges a date.
func ending(check, detail, remedy string, ends, now time.Time) openflow.Finding {
	switch {
	case !now.Before(ends):
		return fail(check, detail+", which ended on "+date(ends), remedy)
	case ends.Sub(now) < endsSoon:
		return warn(check, detail+", which ends on "+date(ends), remedy)
	}
	return ok(check, detail+", until "+date(ends))
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }
