package worker

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// A message is the lengths of its two parts, as 32-bit little-endian integers,
// then JSON, then raw data.
const (
	mostHeader = 64 << 20
	mostData   = 1 << 30
)

func writeMessage(w io.Writer, header any, data []byte) error {
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	if len(text) > mostHeader || len(data) > mostData {
		return fmt.Errorf("a message of %d and %d bytes is too large", len(text), len(data))
	}
	message := make([]byte, 8, 8+len(text)+len(data))
	binary.LittleEndian.PutUint32(message, uint32(len(text)))
	binary.LittleEndian.PutUint32(message[4:], uint32(len(data)))
	message = append(append(message, text...), data...)
	_, err = w.Write(message)
	return err
}

func readMessage(r io.Reader) (header json.RawMessage, data []byte, err error) {
	var lengths [8]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		return nil, nil, err
	}
	headerLength, dataLength := binary.LittleEndian.Uint32(lengths[:]), binary.LittleEndian.Uint32(lengths[4:])
	if headerLength > mostHeader || dataLength > mostData {
		return nil, nil, fmt.Errorf("a message claims %d and %d bytes", headerLength, dataLength)
	}
	if header, err = readBytes(r, int64(headerLength)); err != nil {
		return nil, nil, err
	}
	data, err = readBytes(r, int64(dataLength))
	return header, data, err
}

// readBytes takes memory as bytes arrive: a length alone is no reason to.
func readBytes(r io.Reader, n int64) ([]byte, error) {
	bytes, err := io.ReadAll(io.LimitReader(r, n))
	if err == nil && int64(len(bytes)) < n {
		err = io.ErrUnexpectedEOF
	}
	return bytes, err
}
