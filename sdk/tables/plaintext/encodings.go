package plaintext

import (
	"bytes"
	"strings"
	stdunicode "unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
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

// suspects are the encodings that a file is suspected of, the likeliest first.
var suspects = []*named{
	{simplifiedchinese.GBK, "gbk"}, {traditionalchinese.Big5, "big5"}, {japanese.ShiftJIS, "shift_jis"}, {korean.EUCKR, "euc-kr"},
}

// guessed lists what text that is not UTF-8 may be, in the names of our encoding setting.
func guessed(text []byte) []string {
	var list []string
	longest := longestWord(text)
	if longest > 0 {
		list = append(list, "latin-1")
	}
	for _, s := range suspects {
		if longest != 1 && eastern(text, s) {
			list = append(list, s.name)
		}
	}
	if len(list) == 0 {
		return []string{"latin-1"}
	}
	return list
}

// longestWord is how many high bytes stand beside each other where all of them are letters of Latin-1, one or two as in
// words of German or French. It is 0 where there are more, as in Chinese text, or other ones.
func longestWord(text []byte) int {
	run, longest := 0, 0
	for _, b := range text {
		if b < utf8.RuneSelf {
			run = 0
			continue
		}
		if run++; run > 2 || b < 0xc0 || b == 0xd7 || b == 0xf7 {
			return 0
		}
		longest = max(longest, run)
	}
	return longest
}

// eastern reports whether text, in an encoding and perhaps with half a character at its end, has letters of the scripts of
// East Asia only, besides ASCII and signs of those scripts.
func eastern(text []byte, e *named) bool {
	for _, t := range [][]byte{text, text[:max(len(text)-1, 0)]} {
		if decoded, err := e.NewDecoder().Bytes(t); err == nil && ofEastAsia(string(decoded)) {
			return true
		}
	}
	return false
}

func ofEastAsia(text string) bool {
	for _, r := range text {
		if r >= utf8.RuneSelf && !stdunicode.In(r, stdunicode.Han, stdunicode.Hiragana, stdunicode.Katakana, stdunicode.Hangul) &&
			(r < 0x3000 || r > 0x303f) && (r < 0xff00 || r > 0xffef || r >= 0xff61 && r <= 0xff9f) {
			return false
		}
	}
	return true
}
