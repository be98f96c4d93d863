package mockserver

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// Mode is a way to answer. All but the first few are vices of real servers,
// proxies and networks.
type Mode string

// The modes.
const (
	Normal          Mode = ""
	TwoTokens       Mode = "two tokens in an event"
	NoIDs           Mode = "text only, usage at the end"
	NoIDsTwoTokens  Mode = "text only, two tokens in an event, usage at the end"
	ContinuousUsage Mode = "usage in each event, two tokens in an event, no ids"
	Cumulative      Mode = "cumulative text and ids, as SGLang's /generate"
	HeldBack        Mode = "half a character held back and its id lost, as llama.cpp's /completion"
	FinishWithUsage Mode = "usage beside the finish reason, as llama.cpp"
	CloseAfter      Mode = "connections announced as kept and closed after each answer"
	IndexUp         Mode = "the choice's index counts up"
	EmptyEvents     Mode = "events without text between the others"
	CRLF            Mode = "lines that end in CRLF, comments and pings between"
	Split           Mode = "each byte in a segment of its own"
	Coalesced       Mode = "the whole answer in one segment"
	Untold          Mode = "neither chunked nor with a length: the end is the connection's"
	HugeEvent       Mode = "an event of 10 MB"
	InvalidUTF8     Mode = "text that is not UTF-8"
	Unclean         Mode = "a complete answer whose connection is cut before its body ends"

	NoUsage    Mode = "no usage"
	WrongUsage Mode = "a usage that is one too high"
	MadUsage   Mode = "a usage of four thousand million tokens"
	Fewer      Mode = "one token less than asked, and usage says so"
	Ends       Mode = "an answer that ends by itself, one token early"
	More       Mode = "one token more than asked, and usage says so"
	Duplicated Mode = "an event sent twice"
	Reordered  Mode = "two events in the wrong order"

	Cut         Mode = "the connection ends between two events"
	CutInEvent  Mode = "the connection ends inside an event"
	CutNicely   Mode = "the body ends in order, without finish reason, usage or [DONE]"
	ErrorEvent  Mode = "an error event in the stream"
	GivenUp     Mode = "requests that the server drops, in order"
	GivenUpSoon Mode = "requests that the server drops before their first token, in order"
	Busy        Mode = "429 with Retry-After"
	Broken      Mode = "500"
	Strict      Mode = "unknown members refused, as trtllm-serve"
	NoStream    Mode = "a whole answer although a stream was asked for"
	NotHTTP     Mode = "no HTTP at all"
	BadChunk    Mode = "a broken chunked encoding"
	Endless     Mode = "tokens without end"
	Stall       Mode = "a stream that stops coming"
	NoAnswer    Mode = "a connection that is closed without an answer"
	BrokenEvent Mode = "an event that is not JSON"
)

// Token is the id of the n-th token of an answer to a prompt.
func Token(prompt []uint32, n int) uint32 { return prompt[0] + uint32(n) }

// events of an ordinary answer, without "data: ".
func (s *Server) events(q query) []string {
	mode := s.options.Mode
	count, each := q.maxTokens, 1
	switch mode {
	case HeldBack:
		return heldBack(q)
	case Fewer, Ends:
		count--
	case More:
		count++
	case TwoTokens, NoIDsTwoTokens, ContinuousUsage:
		each = 2
	}
	usage := func(n int) string {
		return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":0}}`, len(q.prompt), n)
	}
	var list []string
	for i := 0; i < count; i += each {
		var ids []string
		upTo := min(i+each, count)
		for n := i; n < upTo; n++ {
			ids = append(ids, fmt.Sprint(Token(q.prompt, n)))
		}
		text, index, finish := strings.Repeat("x", upTo-i), 0, "null"
		idList, inEvent := `,"token_ids":[`+strings.Join(ids, ",")+"]", "null"
		switch mode {
		case NoIDs, NoIDsTwoTokens, FinishWithUsage:
			idList = ""
		case ContinuousUsage:
			idList, inEvent = "", usage(upTo)
		case IndexUp:
			index = i
		case HugeEvent:
			if i == 0 {
				text = strings.Repeat("y", 10<<20)
			}
		case InvalidUTF8:
			text = "\xff\xfe\xc3"
		case Cumulative:
			list = append(list, fmt.Sprintf(`{"text":"%s","output_ids":[%s],"meta_info":{"finish_reason":%s,"prompt_tokens":%d,"completion_tokens":%d,"cached_tokens":0}}`,
				strings.Repeat("x", upTo), cumulative(q, upTo), map[bool]string{true: `{"type":"length","length":1}`, false: "null"}[upTo == count], len(q.prompt), upTo))
			continue
		}
		if upTo == count && mode != FinishWithUsage {
			finish = map[bool]string{true: `"stop"`, false: `"length"`}[mode == Ends]
		}
		list = append(list, fmt.Sprintf(`{"id":"c","object":"text_completion","choices":[{"index":%d,"text":"%s","logprobs":null,"finish_reason":%s%s}],"usage":%s}`, index, text, finish, idList, inEvent))
		if mode == EmptyEvents {
			list = append(list, `{"id":"c","choices":[{"index":0,"text":"","finish_reason":null}],"usage":null}`)
		}
	}
	total := count
	switch mode {
	case WrongUsage:
		total++
	case MadUsage:
		total = 4_000_000_000
	}
	switch mode {
	case NoUsage, Cumulative:
	case FinishWithUsage:
		list = append(list, `{"choices":[{"text":"","index":0,"finish_reason":"length"}],"usage":`+usage(total)+`,"timings":{"prompt_n":1}}`)
	default:
		list = append(list, `{"id":"c","choices":[],"usage":`+usage(total)+`}`)
	}
	return list
}

// heldBack leaves out the ids of the third token and of the last one; the server's
// count tells of them.
func heldBack(q query) (list []string) {
	event := func(id string, upTo int, rest string) {
		list = append(list, fmt.Sprintf(`{"index":0,"content":"%s","tokens":[%s],"tokens_predicted":%d,"tokens_evaluated":%d,%s}`,
			strings.Repeat("x", len(id)), id, upTo, len(q.prompt), rest))
	}
	for n := range q.maxTokens - 1 {
		if n != 2 {
			event(fmt.Sprint(Token(q.prompt, n)), n+1, `"stop":false`)
		}
	}
	event("", q.maxTokens, `"stop":true,"stop_type":"limit"`)
	return list
}

func cumulative(q query, upTo int) string {
	ids := make([]string, upTo)
	for n := range ids {
		ids[n] = fmt.Sprint(Token(q.prompt, n))
	}
	return strings.Join(ids, ",")
}

var errOver = errors.New("the connection is to be closed")

// answer writes an answer at once, in the pieces that the mode asks for.
func (s *Server) answer(c net.Conn, q query) error {
	mode := s.options.Mode
	write := func(text string) error {
		_, err := c.Write([]byte(text))
		return err
	}
	plain := func(status, extra, body string) error {
		return write(fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", status, extra, len(body), body))
	}
	switch mode {
	case Busy:
		return plain("429 Too Many Requests", "Retry-After: 2\r\n", `{"error":"busy"}`)
	case Broken:
		return plain("500 Internal Server Error", "", `{"error":{"message":"EngineCore encountered an issue"}}`)
	case NoStream:
		return plain("200 OK", "", `{"choices":[{"text":"xxx"}]}`)
	case NotHTTP:
		_ = write("SSH-2.0-OpenSSH_9.2\r\n")
		return errOver
	case NoAnswer:
		return errOver
	case Strict:
		if q.unknown != "" {
			return plain("400 Bad Request", "", fmt.Sprintf(`{"error":"%s: Extra inputs are not permitted"}`, q.unknown))
		}
	case Endless:
		return s.endless(write)
	}
	if s.options.Fast {
		return s.fast(c, q)
	}
	events := s.events(q)
	s.Tokens.Add(int64(q.maxTokens))
	half := len(events) / 2
	switch mode {
	case Duplicated:
		events = append(events[:half+1], events[half:]...)
	case Reordered:
		events[0], events[1] = events[1], events[0]
	case ErrorEvent:
		events = append(events[:half:half], `{"error":{"message":"EngineCore died","type":"InternalServerError","code":500}}`)
	case GivenUp:
		events = append(events[:half:half], `{"choices":[{"index":0,"text":"","token_ids":[],"finish_reason":"abort"}]}`)
	case GivenUpSoon:
		events = []string{`{"choices":[],"usage":{"prompt_tokens":3,"total_tokens":3,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":0}}}`}
	case BrokenEvent:
		events[half] = `{"choices":[{"text":"x`
	case CutNicely, Cut, CutInEvent, Stall:
		events = events[:half]
	}
	return s.frames(write, events)
}

// frames writes events as HTTP chunks.
func (s *Server) frames(write func(string) error, events []string) error {
	mode := s.options.Mode
	end := "\n"
	if mode == CRLF {
		end = "\r\n"
	}
	var pieces []string
	chunk := func(text string) {
		if mode == Untold {
			pieces = append(pieces, text)
		} else {
			pieces = append(pieces, fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
		}
	}
	for _, event := range events {
		if mode == CRLF {
			chunk(": ping" + end + end)
			chunk("event: message" + end + "id: 7" + end + "data:" + event + end + end)
			continue
		}
		chunk("data: " + event + end + end)
	}
	if mode != CutNicely && mode != ErrorEvent {
		chunk("data: [DONE]" + end + end)
	}
	last := "0\r\n\r\n"
	head := headSSE
	switch mode {
	case Cut, Unclean, Stall:
		last = ""
	case CutInEvent:
		last = "40\r\ndata: {\"choices\":[{\"te"
	case BadChunk:
		last = "zz\r\n"
	case Untold:
		head, last = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", ""
	case CloseAfter:
		head = strings.Replace(headSSE, "\r\n\r\n", "\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5, max=100\r\n\r\n", 1)
	}
	if mode == Cut || mode == CutInEvent || mode == Stall {
		pieces = pieces[:len(pieces)-1]
	}
	pieces = append(append([]string{head}, pieces...), last)
	switch mode {
	case Coalesced:
		pieces = []string{strings.Join(pieces, "")}
	case Split:
		pieces = strings.Split(strings.Join(pieces, ""), "")
	}
	for _, piece := range pieces {
		if err := write(piece); err != nil {
			return err
		}
	}
	switch mode {
	case Cut, CutInEvent, Unclean, Untold, CloseAfter, BadChunk:
		return errOver
	}
	return nil
}

func (s *Server) endless(write func(string) error) error {
	if err := write(headSSE); err != nil {
		return err
	}
	piece := string(bytes.Repeat(appendToken(nil, 1, 0), 64))
	for {
		if err := write(piece); err != nil {
			return err
		}
	}
}

// fast writes a whole answer, each token in a write of its own.
func (s *Server) fast(c net.Conn, q query) error {
	b := append([]byte(nil), headSSE...)
	for i := range q.maxTokens {
		b = appendToken(b, i, sdk.MonoNow())
		if i == q.maxTokens-1 {
			b = appendEnd(b, q.maxTokens)
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	s.Tokens.Add(int64(q.maxTokens))
	return nil
}
