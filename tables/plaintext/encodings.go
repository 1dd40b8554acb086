package plaintext

import (
	"bytes"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"openflow"
)

const utf8Name = "utf-8"

// named is an encoding and its name.
type named struct {
	encoding.Encoding
	name string
}

// others are names that programs write and the WHATWG's list lacks.
var others = map[string]string{
	"latin-1": "latin1", "utf-8-sig": "utf-8", "utf_8": "utf-8", "cp936": "gbk", "ms936": "gbk", "euc-cn": "gbk", "euc_cn": "gbk",
	"cp950": "big5", "cp932": "shift_jis", "cp949": "euc-kr", "utf16": "utf-16", "utf16le": "utf-16le", "utf16be": "utf-16be",
	"utf_16": "utf-16", "windows1252": "windows-1252", "ansi": "windows-1252",
}

// find looks an encoding up; nil for the empty name.
func find(name string) (*named, error) {
	n := strings.ToLower(strings.TrimSpace(name))
	if n == "" {
		return nil, nil
	}
	if other, ok := others[n]; ok {
		n = other
	}
	e, err := htmlindex.Get(n)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the encoding %q is not known", name).
			WithHint("encodings are utf-8, gbk, gb18030, big5, shift_jis, euc-kr, latin-1, windows-1252, utf-16 and others of the WHATWG")
	}
	canonical, err := htmlindex.Name(e)
	if err != nil || canonical == "replacement" || canonical == "x-user-defined" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the encoding %q is not read", name)
	}
	return &named{e, canonical}, nil
}

// CheckEncoding refuses a name that is not one of an encoding; the empty one is UTF-8.
func CheckEncoding(name string) error {
	_, err := find(name)
	return err
}

// agrees reports whether a byte order mark of m does not contradict n: "utf-16" is said of both orders.
func (n *named) agrees(m *named) bool {
	return n.name == m.name || strings.HasPrefix(n.name, "utf-16") && strings.HasPrefix(m.name, "utf-16")
}

// mark is a byte order mark.
type mark struct {
	length   int
	encoding *named // nil: one that is not read
}

func markOf(head []byte) mark {
	for _, m := range []struct {
		bytes string
		of    *named
	}{
		{"\xef\xbb\xbf", &named{encoding.Nop, utf8Name}},
		{"\xff\xfe\x00\x00", nil},
		{"\x00\x00\xfe\xff", nil},
		{"\xff\xfe", &named{unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "utf-16le"}},
		{"\xfe\xff", &named{unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "utf-16be"}},
	} {
		if bytes.HasPrefix(head, []byte(m.bytes)) {
			return mark{len(m.bytes), m.of}
		}
	}
	return mark{}
}

// guessed tells what text that is not UTF-8 may be: names for our encoding setting and for iconv.
func guessed(text []byte) string {
	var high, paired int
	for i := 0; i < len(text); i++ {
		if text[i] < 0x80 {
			continue
		}
		high++
		// Most characters of Chinese text in GBK are of GB2312: two high bytes in these ranges.
		if i+1 < len(text) && text[i] >= 0xa1 && text[i] <= 0xf7 && text[i+1] >= 0xa1 && text[i+1] != 0xff {
			paired += 2
			high++
			i++
		}
	}
	if paired > 0 && paired*10 >= high*8 {
		return "gbk"
	}
	return "latin-1"
}
