// Package mockserver is an HTTP server that streams completions as inference
// servers do, with known moments and with their known vices. It is for tests
// and benchmarks of clients: with Step set, one step at absolute deadlines
// gives a token to every stream, as continuous batching does, and each token's
// text is the moment at which it was written.
package mockserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Server.
type Options struct {
	// Listen is an address; "" = a free port of 127.0.0.1.
	Listen string
	// Mode is how it answers; "" = Normal.
	Mode Mode
	// Step is the time between two tokens of a stream; 0 = a whole answer at
	// once.
	Step time.Duration
	// Fast answers without looking at requests beyond max_tokens, for
	// benchmarks; the ids of its tokens are 0, 1, 2, ...
	Fast bool
}

// Server is a running server.
type Server struct {
	options  Options
	listener net.Listener
	stepper  *stepper

	// Requests counts answers that were begun; Tokens those that were written
	// in steps or in answers at once; Connections those that were accepted.
	Requests, Tokens, Connections atomic.Int64

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
	bodies [][]byte
}

// Start starts a server; Close stops it.
func Start(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("mock server: %w", err)
	}
	s := &Server{options: o, listener: listener, open: map[net.Conn]bool{}}
	if o.Step > 0 {
		s.stepper = newStepper(o.Step, &s.Tokens)
		go s.stepper.run()
	}
	go s.accept()
	return s, nil
}

// URL is where it listens.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Bodies are the bodies of the requests that came, unless Fast is set.
func (s *Server) Bodies() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies
}

// Close ends the server and all of its connections.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	_ = s.listener.Close()
	if s.stepper != nil {
		s.stepper.stop()
	}
}

// StopListening closes the port and leaves what is open as it is.
func (s *Server) StopListening() { _ = s.listener.Close() }

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			_ = c.Close()
		} else {
			s.open[c] = true
			s.Connections.Add(1)
			go s.serve(c)
		}
		s.mu.Unlock()
	}
}

// query is one request.
type query struct {
	index     int64 // counted over the server's life, from 0
	body      []byte
	prompt    []uint32
	maxTokens int
	unknown   string // a member that a strict server refuses
}

func (s *Server) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.open, c)
		s.mu.Unlock()
	}()
	reader := bufio.NewReaderSize(c, 16<<10)
	var body []byte
	stream := &stepStream{conn: c, done: make(chan error, 1)}
	for {
		var err error
		if body, err = readRequest(reader, body); err != nil {
			return
		}
		q := query{index: s.Requests.Add(1) - 1, body: body}
		if s.options.Fast {
			q.maxTokens = findMaxTokens(body)
		} else {
			if q.prompt, q.maxTokens, q.unknown, err = parse(body); err != nil {
				return
			}
			s.mu.Lock()
			s.bodies = append(s.bodies, bytes.Clone(body))
			s.mu.Unlock()
		}
		if s.stepper != nil && s.options.Mode == Normal {
			err = s.stepper.answer(stream, q.maxTokens)
		} else {
			err = s.answer(c, q)
		}
		if err != nil {
			return
		}
	}
}

// readRequest reads one request and returns its body.
func readRequest(r *bufio.Reader, buffer []byte) ([]byte, error) {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(line) <= 2 && !first {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(name), "content-length") {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
	if cap(buffer) < length {
		buffer = make([]byte, length)
	}
	buffer = buffer[:length]
	_, err := io.ReadFull(r, buffer)
	return buffer, err
}

func findMaxTokens(body []byte) int {
	_, after, _ := bytes.Cut(body, []byte(`"max_tokens":`))
	n := 0
	for _, c := range bytes.TrimLeft(after, " ") {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// known are the members that a strict server takes.
var known = map[string]bool{
	"model": true, "prompt": true, "max_tokens": true, "min_tokens": true, "ignore_eos": true, "temperature": true,
	"top_p": true, "top_k": true, "seed": true, "stream": true, "stream_options": true, "detokenize": true,
}

func parse(body []byte) (prompt []uint32, maxTokens int, unknown string, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, 0, "", err
	}
	for name := range members {
		if !known[name] {
			unknown = name
		}
	}
	ids, most := members["prompt"], members["max_tokens"]
	if ids == nil {
		ids = members["input_ids"]
	}
	if most == nil {
		most = members["n_predict"]
	}
	if raw := members["sampling_params"]; raw != nil {
		var nested map[string]json.RawMessage
		if err := json.Unmarshal(raw, &nested); err != nil {
			return nil, 0, "", err
		}
		most = nested["max_new_tokens"]
	}
	if ids == nil || most == nil {
		return nil, 0, "", errors.New("no prompt or no number of tokens")
	}
	return prompt, maxTokens, unknown, errors.Join(json.Unmarshal(ids, &prompt), json.Unmarshal(most, &maxTokens))
}
