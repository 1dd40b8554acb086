package tables

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"openflow"
	"openflow/sdk/tables/plaintext"
)

// RawMeta renders what is kept with a raw table: the meta object of its upload without nulls, and the two switches beside it.
// Where the file's first line names the columns, their names are there in one text, the sample id first.
//
// Spec: fate-components §3.1.
func RawMeta(said json.RawMessage, m Meta, s Summary) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(said, &members); err != nil {
		return nil, metaError(err)
	}
	for name, value := range members {
		if string(value) == "null" {
			delete(members, name)
		}
	}
	set := func(name string, value any) {
		b, err := json.Marshal(value)
		if err == nil { // texts and switches always encode
			members[name] = b
		}
	}
	if m.SampleIDSeed != "" {
		set(seedKey, m.SampleIDSeed)
	}
	set("head", m.Head)
	set("extend_sid", m.ExtendSID)
	if m.Head && !m.Rereads() {
		set("header", strings.Join(s.Schema.Names(), ","))
	}
	return json.Marshal(members)
}

// ParseRawMeta reads what RawMeta has written, of a table of that type. Errors: CodeInvalid (it is no raw table, or nothing tells
// what its columns are).
func ParseRawMeta(dataType string, data []byte) (Meta, error) {
	switch dataType {
	case openflow.TypeRaw:
		return parseKept(data)
	case openflow.TypeDirectory:
		return Meta{}, openflow.Errorf(openflow.CodeInvalid, "it is a folder of files, of which no dataframe can be made").
			WithHint("upload a file of rows")
	}
	return Meta{}, openflow.Errorf(openflow.CodeInvalid, "it is a dataframe already").
		WithHint("only what was uploaded without a namespace and a name has to be transformed")
}

// seedKey is the key under which a raw table keeps what its made sample ids begin with, so that a dataframe of it has those that
// its upload has shown.
const seedKey = "sample_id_seed"

// Seeded is m with a beginning for made sample ids, where they are made and have none.
func (m Meta) Seeded() Meta {
	if m.ExtendSID && m.SampleIDSeed == "" {
		var seed [16]byte
		_, _ = rand.Read(seed[:]) // it never fails
		m.SampleIDSeed = hex.EncodeToString(seed[:])
	}
	return m
}

func parseKept(data []byte) (Meta, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return Meta{}, metaError(err)
	}
	var seed string
	if kept, has := members[seedKey]; has {
		if err := json.Unmarshal(kept, &seed); err != nil || len(seed) > maxSeed {
			return Meta{}, openflow.Errorf(openflow.CodeInvalid, "meta has a wrong %s", seedKey)
		}
		delete(members, seedKey)
	}
	rest, err := json.Marshal(members)
	if err != nil {
		return Meta{}, openflow.Errorf(openflow.CodeInternal, "meta: %w", err)
	}
	m, err := ParseMeta(rest)
	m.SampleIDSeed = seed
	return m, err
}

// maxSeed is how many bytes the beginning of a sample id may have.
const maxSeed = 64

// maxHeader is how many bytes the line with the names of the columns may have.
const maxHeader = 4 << 20

// RawText writes the file of a raw table to w as UTF-8 text, with the names of its columns in the first line whether or not it
// had them there. It returns those names. Errors: CodeInvalid.
//
// Spec: fate-components §1.7.
func RawText(w io.Writer, r io.Reader, m Meta) (header []string, err error) {
	text, err := plaintext.Open(r, m.Encoding)
	if err != nil {
		return nil, err
	}
	in, out := bufio.NewReaderSize(text, maxHeader), bufio.NewWriter(w)
	switch {
	case m.Head:
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = openflow.Errorf(openflow.CodeInvalid, "the first line has more than %d bytes", maxHeader)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		header = splitNames(strings.TrimRight(string(line), "\r\n"), m.Delimiter)
		if _, err := out.Write(line); err != nil {
			return nil, err
		}
	case len(m.Header) > 0:
		header = m.Header
		delimiter := m.Delimiter
		if delimiter == "" {
			delimiter = ","
		}
		if _, err := out.WriteString(strings.Join(header, delimiter) + "\n"); err != nil {
			return nil, err
		}
	}
	if _, err := io.Copy(out, in); err != nil {
		return nil, err
	}
	return header, out.Flush()
}
