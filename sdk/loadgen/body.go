package loadgen

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/llenergymeasure/llem/sdk"
)

// encoder renders requests. All that is the same for a whole Run is rendered
// once.
type encoder struct {
	dialect Dialect
	head    []byte // up to the value of Content-Length
	front   []byte // the body up to MaxTokens' value
	exact   bool
	nested  bool
	scratch []byte
}

func newEncoder(o Options, host string, work *sdk.Work) (*encoder, error) {
	e := &encoder{dialect: o.Dialect, exact: work.ExactLengths, nested: o.Dialect.SamplingIn != ""}
	e.head = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n", o.path(), host)
	if o.APIKey != "" {
		e.head = fmt.Appendf(e.head, "Authorization: Bearer %s\r\n", o.APIKey)
	}
	if o.Dialect.OneShot {
		e.head = append(e.head, "Connection: close\r\n"...)
	}
	e.head = append(e.head, "Content-Length: "...)

	d := o.Dialect
	e.front = append(e.front, '{')
	member := func(name string, value any) error {
		if name == "" {
			return nil
		}
		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("request member %s: %w", name, err)
		}
		e.front = strconv.AppendQuote(e.front, name)
		e.front = append(append(append(e.front, ':'), text...), ',')
		return nil
	}
	if o.Model != "" {
		if err := member("model", o.Model); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Extra)) {
		if err := member(name, d.Extra[name]); err != nil {
			return nil, err
		}
	}
	if e.nested {
		e.front = append(strconv.AppendQuote(e.front, d.SamplingIn), ':', '{')
	}
	s := work.Sampling
	topP, topK := s.TopP, int64(s.TopK)
	if topP == 0 {
		topP = 1
	}
	if topK == 0 {
		topK = int64(d.TopKOff)
	}
	for _, m := range []struct {
		name  string
		value any
	}{{d.Temperature, s.Temperature}, {d.TopP, topP}, {d.TopK, topK}, {d.Seed, s.Seed}} {
		if err := member(m.name, m.value); err != nil {
			return nil, err
		}
	}
	if e.exact {
		if err := member(d.IgnoreEOS, true); err != nil {
			return nil, err
		}
	}
	e.front = append(strconv.AppendQuote(e.front, d.MaxTokens), ':')
	return e, nil
}

// append renders one request behind dst.
func (e *encoder) append(dst []byte, item sdk.WorkItem) []byte {
	b := append(e.scratch[:0], e.front...)
	b = strconv.AppendUint(b, uint64(item.MaxTokens), 10)
	if e.exact && e.dialect.MinTokens != "" {
		b = append(strconv.AppendQuote(append(b, ','), e.dialect.MinTokens), ':')
		b = strconv.AppendUint(b, uint64(item.MaxTokens), 10)
	}
	if e.nested {
		b = append(b, '}')
	}
	b = append(strconv.AppendQuote(append(b, ','), e.dialect.Prompt), ':', '[')
	b = appendIDs(b, item.TokenIDs)
	b = append(b, ']', '}')
	e.scratch = b
	dst = append(dst, e.head...)
	dst = strconv.AppendInt(dst, int64(len(b)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, b...)
}

// appendIDs renders ids with commas between. Prompts are the larger part of what
// is done for a request; strconv takes four times as long.
func appendIDs(b []byte, ids []uint32) []byte {
	const most = 11 // ten digits and a comma
	b = slices.Grow(b, most*len(ids))
	at := len(b)
	b = b[:cap(b)]
	for i, id := range ids {
		if i > 0 {
			b[at] = ','
			at++
		}
		width := decimals(id)
		end := at + width
		at = end
		for id >= 100 {
			pair := id % 100 * 2
			id /= 100
			end -= 2
			b[end], b[end+1] = pairs[pair], pairs[pair+1]
		}
		if id < 10 {
			b[end-1] = '0' + byte(id)
		} else {
			b[end-2], b[end-1] = pairs[2*id], pairs[2*id+1]
		}
	}
	return b[:at]
}

const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// decimals is how many digits id has.
func decimals(id uint32) int {
	switch {
	case id < 10:
		return 1
	case id < 100:
		return 2
	case id < 1000:
		return 3
	case id < 10_000:
		return 4
	case id < 100_000:
		return 5
	case id < 1_000_000:
		return 6
	case id < 10_000_000:
		return 7
	case id < 100_000_000:
		return 8
	case id < 1_000_000_000:
		return 9
	}
	return 10
}
