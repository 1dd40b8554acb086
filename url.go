package openflow

import (
	"net/url"
	"strings"
)

// StraySecret reports whether u, which text was parsed to, may show a secret outside of USER:PASSWORD@. An @ elsewhere
// means that the password has a character which ends the host, so its rest would be shown as something else.
func StraySecret(text string, u *url.URL) bool {
	n := strings.Count(text, "@")
	return n > 1 || n == 1 && u.User == nil
}
