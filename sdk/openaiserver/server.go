package openaiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Server is a server that is up, as Engine.ReadBack sees it.
type Server struct {
	URL      string
	Settings sdk.Table // what it was started with
	// Log are the lines that it has written, cut to the last few hundred; nil if
	// it was not started here.
	Log []string
	// PID of the process that was started; 0 if none was.
	PID int
	// Workload is what the server will be asked for.
	Workload sdk.Workload

	client     *http.Client
	apiKey     string
	mistrusted []string
}

// Mistrust keeps metrics out of the counters, where they stay unknown: with this
// server's settings and workload they do not count what they say.
func (s *Server) Mistrust(names ...string) { s.mistrusted = append(s.mistrusted, names...) }

// Bounds of a call that is no request for tokens.
const (
	callTimeout   = 10 * time.Second
	mostBodyBytes = 16 << 20
)

// newClient keeps no connection: nothing of it shall be open in a window.
func newClient() *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil, DialContext: dial}}
}

// dial prefers IPv4, as the load generator does: another server may listen on the same
// port of the name's other address.
func dial(ctx context.Context, _, address string) (net.Conn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp4", address)
	if err == nil {
		return c, nil
	}
	if other, otherErr := dialer.DialContext(ctx, "tcp6", address); otherErr == nil {
		return other, nil
	}
	return nil, err
}

// Get returns the body of an answer of status 200.
func (s *Server) Get(ctx context.Context, path string) ([]byte, error) {
	return s.call(ctx, http.MethodGet, path)
}

// GetJSON decodes an answer into out.
func (s *Server) GetJSON(ctx context.Context, path string, out any) error {
	body, err := s.Get(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("read the answer of %s%s: %w", s.URL, path, err)
	}
	return nil
}

// Read passes the body of an answer of status 200 to read as it comes, however long
// it is. Only ctx bounds its time.
func (s *Server) Read(ctx context.Context, path string, read func(io.Reader) error) error {
	unhurried := *s.client
	unhurried.Timeout = 0
	answer, err := s.send(ctx, &unhurried, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // what is left of it is not wanted
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, mostBodyBytes)) // the status is the error
		return &statusError{method: http.MethodGet, url: s.URL + path, code: answer.StatusCode, body: body}
	}
	if err := read(answer.Body); err != nil {
		return fmt.Errorf("read the answer of %s%s: %w", s.URL, path, err)
	}
	return nil
}

func (s *Server) call(ctx context.Context, method, path string) ([]byte, error) {
	answer, err := s.send(ctx, s.client, method, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // read to its end below
	body, err := io.ReadAll(io.LimitReader(answer.Body, mostBodyBytes))
	if err != nil {
		return nil, fmt.Errorf("%s %s%s: %w", method, s.URL, path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return body, &statusError{method: method, url: s.URL + path, code: answer.StatusCode, body: body}
	}
	return body, nil
}

func (s *Server) send(ctx context.Context, client *http.Client, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s%s: %w", method, s.URL, path, err)
	}
	if s.apiKey != "" {
		request.Header.Set("Authorization", "Bearer "+s.apiKey)
	}
	return client.Do(request) // its errors name method and URL
}

// statusError is an answer that is not 200.
type statusError struct {
	method, url string
	code        int
	body        []byte
}

func (e *statusError) Error() string {
	const most = 300
	return fmt.Sprintf("%s %s: status %d: %s", e.method, e.url, e.code, e.body[:min(most, len(e.body))])
}
