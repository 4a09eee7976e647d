package keyfob

import (
	"io"
	"net/http"
)

// Transport sends requests with the credential, and once more with another one after a 401. A redirect is a request of its own: a host
// that is none of the environment's gets nothing, and the request fails with an *Error.
type Transport struct {
	Client *Client
	// Base sends them; by default http.DefaultTransport.
	Base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	credential, err := t.Client.GetContext(request.Context(), Wanted{URI: request.URL.String()})
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	response, err := t.send(request, credential)
	if err != nil || response.StatusCode != http.StatusUnauthorized || credential.Handle == "" {
		return response, err
	}
	next, err := t.Client.GetContext(request.Context(), Wanted{URI: request.URL.String(), Profile: credential.Profile, Rejected: credential.Handle})
	if err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	again := request.Clone(request.Context())
	if request.Body != nil && request.Body != http.NoBody {
		if request.GetBody == nil {
			return response, nil // What was streamed cannot be sent twice. The next request has the new one.
		}
		if again.Body, err = request.GetBody(); err != nil {
			return response, nil
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64*1024))
	_ = response.Body.Close()
	return t.send(again, next)
}

func (t *Transport) send(request *http.Request, credential *Credential) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	// A RoundTripper must not change the request it was given.
	sent := request.Clone(request.Context())
	credential.PutOn(sent.Header)
	return base.RoundTrip(sent)
}
