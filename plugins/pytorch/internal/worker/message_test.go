package worker

import (
	"bytes"
	"testing"
)

func TestMessages(t *testing.T) {
	var wire bytes.Buffer
	for _, data := range [][]byte{nil, []byte("raw"), bytes.Repeat([]byte{7}, 1<<20)} {
		if err := writeMessage(&wire, envelope{Call: "pass", Number: 3}, data); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{0, 3, 1 << 20} {
		header, data, err := readMessage(&wire)
		if err != nil || string(header) != `{"call":"pass","number":3}` || len(data) != want {
			t.Errorf("%s, %d bytes, error %v", header, len(data), err)
		}
	}
}

func FuzzReadMessage(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x01\x00\x00\x00{}x"))
	f.Add([]byte("\xff\xff\xff\x03\xff\xff\xff\x3f{}"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		header, data, err := readMessage(bytes.NewReader(wire))
		if err == nil && len(header)+len(data) > len(wire) {
			t.Errorf("%d and %d bytes out of %d", len(header), len(data), len(wire))
		}
	})
}
