package loadgen

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llenergymeasure/llem/sdk"
)

// arrival is an event and the moment of the byte that completed it.
type arrival struct {
	data string
	ns   int64
}

// plainReader is the specification, as plainly as it can be written: all bytes
// at hand, one line after the other. Moments are positions.
func plainReader(text []byte) []arrival {
	var list []arrival
	var data []string
	first := true
	for at := 0; at < len(text); {
		end := at
		for end < len(text) && text[end] != '\n' && text[end] != '\r' {
			end++
		}
		if end == len(text) {
			break // not a line
		}
		line := string(text[at:end])
		moment := int64(end)
		at = end + 1
		if text[end] == '\r' && at < len(text) && text[at] == '\n' {
			at++
		}
		if first {
			line, first = strings.TrimPrefix(line, "\xef\xbb\xbf"), false
		}
		if line == "" {
			if data != nil {
				list = append(list, arrival{strings.Join(data, "\n"), moment})
			}
			data = nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		if name == "data" {
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return list
}

// inPieces feeds text cut at the given places; a piece arrives at the position
// of its last byte.
func inPieces(text []byte, cuts []int) []arrival {
	var list []arrival
	r := eventReader{most: 1 << 20}
	r.handle = func(data []byte, ns int64) { list = append(list, arrival{string(data), ns}) }
	from := 0
	for _, to := range append(cuts, len(text)) {
		if to > from {
			if err := r.feed(text[from:to], int64(to)); err != nil {
				panic(err)
			}
			from = to
		}
	}
	return list
}

// moments moves each plain moment to the end of the piece that it lies in.
func moments(list []arrival, cuts []int, size int) []arrival {
	list = slices.Clone(list)
	for i := range list {
		for _, to := range append(slices.Clone(cuts), size) {
			if int64(to) > list[i].ns {
				list[i].ns = int64(to)
				break
			}
		}
	}
	return list
}

// streamText draws what servers send, and what they should not.
func streamText(r *rapid.T) []byte {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{
		"data: {\"a\":1}", "data:x", "data", "data:", "data:  two", ": ping", ":", "event: message", "id: 7", "retry: 1", "unknown: x", "database: x",
		"\n", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\xff\xfe", "\xef\xbb\xbf", "data: [DONE]\n\n", "{", "é", " ",
	}), 0, 40).Draw(r, "parts")
	return []byte(strings.Join(parts, ""))
}

func cutsOf(r *rapid.T, size int) []int {
	cuts := rapid.SliceOf(rapid.IntRange(0, size)).Draw(r, "cuts")
	slices.Sort(cuts)
	return cuts
}

// TestEventsEqualPlainReader: however the bytes are cut, the same events come
// out, each stamped with the piece that completed it.
func TestEventsEqualPlainReader(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := streamText(r)
		cuts := cutsOf(r, len(text))
		want, got := moments(plainReader(text), cuts, len(text)), inPieces(text, cuts)
		if !slices.Equal(want, got) {
			r.Fatalf("%q cut at %v:\n%v, expected\n%v", text, cuts, got, want)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: a\r\n\r\n: ping\n\ndata: b\ndata: c\n\n"), []byte{1, 9, 3})
	f.Add([]byte("\xef\xbb\xbfdata: [DONE]\r\r"), []byte{})
	f.Fuzz(func(t *testing.T, text, steps []byte) {
		var cuts []int
		at := 0
		for _, step := range steps {
			at = min(at+int(step), len(text))
			cuts = append(cuts, at)
		}
		want, got := moments(plainReader(text), cuts, len(text)), inPieces(text, cuts)
		if !slices.Equal(want, got) {
			t.Fatalf("%q cut at %v:\n%v, expected\n%v", text, cuts, got, want)
		}
	})
}

// receive gives an answer to a stream in pieces, decoding whenever it likes.
func receive(text []byte, cuts []int, decodeEach int) *stream {
	s := newStream(1<<20, &heads{})
	s.item.MaxTokens, s.sent = 1<<20, 1
	g := &grammar{root: VLLM().tree()}
	from := 0
	for i, to := range append(cuts, len(text)) {
		if to == from {
			continue
		}
		s.raw = slices.Grow(s.raw, to-from)
		copy(s.raw[len(s.raw):cap(s.raw)], text[from:to])
		over, err := s.take(to-from, int64(to))
		from = to
		if err != nil {
			s.fail(err.Error())
			break
		}
		if s.whole = over; over {
			break
		}
		if decodeEach > 0 && i%decodeEach == 0 {
			s.decode(100, g)
		}
	}
	s.whole = s.whole || s.headed && s.walk.atEOF()
	s.close(g)
	return s
}

// TestAnswersEqualStandardLibrary holds the whole way from bytes to tokens
// against net/http, bufio and encoding/json.
func TestAnswersEqualStandardLibrary(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var body bytes.Buffer
		for range rapid.IntRange(0, 12).Draw(r, "events") {
			fmt.Fprintf(&body, "data: %s\n\n", rapid.SampledFrom([]string{
				`{"choices":[{"text":"a","token_ids":[1,2]}]}`, `{"choices":[{"text":"\"}]","token_ids":[7],"finish_reason":null}],"usage":null}`,
				`{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":12}}`, `{"choices":[{"text":"","token_ids":[],"finish_reason":"length"}]}`,
				`{"other":{"choices":[{"token_ids":[9]}]},"choices":[{"token_ids":[4294967295]}]}`, "[DONE]", "{", `{"choices":{"text":"no list"}}`,
			}).Draw(r, "event"))
		}
		text := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
		if rapid.Bool().Draw(r, "chunked") {
			text = append(text, "Transfer-Encoding: chunked\r\n\r\n"...)
			for rest := body.Bytes(); len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(r, "chunk")
				text = fmt.Appendf(text, "%X;ext=1\r\n%s\r\n", n, rest[:n])
				rest = rest[n:]
			}
			text = append(text, "0\r\nTrailer: x\r\n\r\n"...)
		} else {
			text = fmt.Appendf(text, "Content-Length: %d\r\n\r\n%s", body.Len(), body.Bytes())
		}
		s := receive(text, cutsOf(r, len(text)), rapid.IntRange(0, 3).Draw(r, "decode"))
		want := standardAnswer(r, text)
		got := fmt.Sprint(s.answer.ids, s.answer.output, s.answer.prompt, s.answer.finish, s.answer.done, s.answer.broken)
		if got != want || s.failure != "" || !s.whole {
			r.Fatalf("%q:\n%s (%s), expected\n%s", text, got, s.failure, want)
		}
	})
}

func standardAnswer(r *rapid.T, text []byte) string {
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
	if err != nil {
		r.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		r.Fatal(err)
	}
	var ids []uint32
	var output, prompt, broken int64
	var finish string
	done := false
	for _, e := range plainReader(body) {
		if e.data == "[DONE]" {
			done = true
			continue
		}
		var event struct {
			Choices json.RawMessage
			Usage   *struct {
				Prompt int64 `json:"prompt_tokens"`
				Output int64 `json:"completion_tokens"`
			}
		}
		if json.Unmarshal([]byte(e.data), &event) != nil {
			broken++
			continue
		}
		var choices []struct {
			IDs    []uint32 `json:"token_ids"`
			Finish string   `json:"finish_reason"`
		}
		if json.Unmarshal(event.Choices, &choices) == nil && len(choices) > 0 {
			ids = append(ids, choices[0].IDs...)
			if choices[0].Finish != "" {
				finish = choices[0].Finish
			}
		}
		if event.Usage != nil {
			output, prompt = event.Usage.Output, event.Usage.Prompt
		}
	}
	return fmt.Sprint(ids, output, prompt, finish, done, broken)
}

// FuzzAnswer: any bytes, cut anyhow, give the same outcome as in one piece, and
// never a panic.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2d\r\ndata: {\"choices\":[{\"text\":\"a\",\"token_ids\":[1]}]}\n\n\r\n0\r\n\r\n"), []byte{3, 70, 9})
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 500 No\nRetry-After: 1\n\nbody"), []byte{30})
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"choices\":[{\"token_ids\":[[[{\"\\\\\":1}]]]}]}\n\n"), []byte{})
	f.Fuzz(func(t *testing.T, text, steps []byte) {
		var cuts []int
		at := 0
		for _, step := range steps {
			at = min(at+int(step), len(text))
			cuts = append(cuts, at)
		}
		if len(text) == 0 {
			return
		}
		whole, pieces := receive(text, nil, 0), receive(text, cuts, 2)
		outcome := func(s *stream) string {
			var y tally
			c := s.completion(sdk.RecordRequest, &y)
			return fmt.Sprint(s.headed, s.whole, s.head.status, s.answer.ids, s.answer.finish, s.answer.broken, len(s.answer.chunks), c.OutputTokens, c.FinishReason)
		}
		// Where the head breaks off early the bytes behind it are not looked at.
		if a, b := outcome(whole), outcome(pieces); a != b && whole.failure == "" && pieces.failure == "" {
			t.Fatalf("%q cut at %v:\n%s, in one piece\n%s", text, cuts, b, a)
		}
	})
}

// FuzzScan: what encoding/json takes is taken, and nothing panics.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"choices":[{"text":"\\\"","token_ids":[1, 2 ,3],"finish_reason":null}],"usage":{"completion_tokens":5}}`))
	f.Add([]byte(`[[{"a":"]"}],{}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var out fields
		err := scan(text, VLLM().tree(), &out)
		if err == nil || !json.Valid(text) || out.hasIDs {
			return // a list of ids may be valid JSON and hold no ids
		}
		if !errors.Is(err, errDepth) {
			t.Fatalf("%q is valid JSON: %v", text, err)
		}
	})
}
