package keyfob

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Credential is what to send. No verb of fmt shows its token or headers. Ask for another one before every request.
type Credential struct {
	Headers                              http.Header
	Token, Kind, Source, Handle, Profile string     // Handle is empty where nothing could take its place.
	ExpiresAt                            *time.Time `json:"expires_at"`
	ExpiresIn                            *int       `json:"expires_in"`
	Warning                              *Error
}

// Format writes what is no secret, whatever the verb.
func (c Credential) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "keyfob.Credential{%s of %q from %s, handle %q}", c.Kind, c.Profile, c.Source, c.Handle)
}

// MarshalJSON leaves out what is secret.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(c)) }

// PutOn adds the headers. One that is a list, as anthropic-beta is, is added to what is sent anyway.
func (c *Credential) PutOn(headers http.Header) {
	for name, values := range c.Headers {
		if name = http.CanonicalHeaderKey(name); name == "Authorization" || name == "X-Api-Key" {
			headers.Del(name)
		}
		for _, value := range values {
			if !contains(headers.Values(name), value) {
				headers.Add(name, value)
			}
		}
	}
}

// contains says whether a list, which may be in several lines (RFC 9110 section 5.3), has this member.
func contains(lines []string, value string) bool {
	for _, part := range strings.Split(strings.Join(lines, ","), ",") {
		if strings.TrimSpace(part) == value {
			return true
		}
	}
	return false
}
