package plaintext_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"

	"openflow"
	"openflow/sdk/tables/plaintext"
	"openflow/tests/fuzzing"
)

// open reads everything, in pieces as small as they come.
func open(file, encoding string, shrink func(io.Reader) io.Reader) (string, error) {
	text, err := plaintext.Open(shrink(strings.NewReader(file)), encoding)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(iotest.OneByteReader(text))
	return string(b), err
}

func whole(r io.Reader) io.Reader { return r }

func TestCharactersAreNotCutWhereReadsEnd(t *testing.T) {
	const text = "编号,年龄\n张三,33\n😀,1\r\nZürich\uFFFD,2"
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("编号,年龄\n")
	require.NoError(t, err)
	for name, shrink := range map[string]func(io.Reader) io.Reader{
		"whole": whole, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "with the end": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := open(text, "", shrink)
			require.NoError(t, err)
			require.Equal(t, text, got)
			got, err = open(gbk, "GB2312", shrink)
			require.NoError(t, err)
			require.Equal(t, "编号,年龄\n", got)
		})
	}
}

func TestBadBytesAreTold(t *testing.T) {
	for file, says := range map[string]string{
		"a\xff":               "line 1 is not UTF-8: byte 2 of it is 0xff",
		"a\nbc\xe4\nd":        "line 2 is not UTF-8: byte 3 of it is 0xe4",
		"a\n\xe7\xbc":         "line 2 is not UTF-8: byte 1 of it is 0xe7",
		"a\n\nb\x00":          "line 3 has a zero byte",
		"\xed\xa0\x80":        "line 1 is not UTF-8",
		"\xc0\xaf":            "line 1 is not UTF-8",
		"\xf4\x90\x80\x80":    "line 1 is not UTF-8",
		"\x00\x00\xfe\xffabc": "UTF-32",
	} {
		for _, shrink := range []func(io.Reader) io.Reader{whole, iotest.OneByteReader} {
			_, err := open(file, "", shrink)
			require.ErrorContains(t, err, says, "%q", file)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		}
	}
}

func TestASourceThatBreaksIsNoMistakeOfTheFile(t *testing.T) {
	text, err := plaintext.Open(io.MultiReader(strings.NewReader(strings.Repeat("a,1\n", 10_000)), iotest.ErrReader(io.ErrClosedPipe)), "")
	require.NoError(t, err)
	_, err = io.ReadAll(text)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

func TestATextThatIsNamedSoIsNoBinaryFile(t *testing.T) {
	for _, file := range []string{"BZh,x0\n1,2\n", "ORC,x0\n1,2\n", "PARK,x0\n"} {
		_, err := plaintext.Open(strings.NewReader(file), "")
		require.NoError(t, err)
	}
}

func FuzzOpen(f *testing.F) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("id,x0\n1,2\n"))
	_ = z.Close()
	for _, seed := range []string{"id,x0\n", "\uFEFFid\n", "\xff\xfei\x00d\x00", "PK\x03\x04", packed.String(), "\xb1\xe0\xba\xc5"} {
		f.Add([]byte(seed), "")
		f.Add([]byte(seed), "gbk")
	}
	fuzzing.Within(f, func(t *testing.T, file []byte, encoding string) {
		text, err := plaintext.Open(bytes.NewReader(file), encoding)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			return
		}
		b, err := io.ReadAll(io.LimitReader(text, 1<<24))
		require.True(t, err != nil || utf8.Valid(b))
		require.False(t, bytes.Contains(b, []byte{0}))
		require.LessOrEqual(t, len(b), 1100*len(file)+8)
	})
}
