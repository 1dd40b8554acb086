package publisher_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust/publisher"
	"openflow/tests/fuzzing"
)

const imageID = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// The key of the author of minisign, as its page has it.
const known = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"

func key(t testing.TB) publisher.Private {
	t.Helper()
	k, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	return k
}

func TestKey(t *testing.T) {
	k, err := publisher.ParseKey(known)
	require.NoError(t, err)
	require.Equal(t, known, k.String())
	require.Equal(t, "E7620F1842B4E81F", k.ID())
	require.Regexp(t, `^[a-z]{5}(-[a-z]{5}){3}$`, k.Words())
	file, err := publisher.ParseKey("untrusted comment: minisign public key E7620F1842B4E81F\n" + known + "\n")
	require.NoError(t, err)
	require.Equal(t, k, file)
	require.Empty(t, publisher.Key{}.String())
}

func TestParseKeyRefuses(t *testing.T) {
	raw, err := base64.StdEncoding.DecodeString(known)
	require.NoError(t, err)
	with := func(change func(b []byte)) string {
		b := bytes.Clone(raw)
		change(b)
		return base64.StdEncoding.EncodeToString(b)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"a word":            "RWQ",
		"one letter less":   known[:55],
		"one letter more":   known + "A",
		"another algorithm": with(func(b []byte) { b[0] = 'X' }),
		"of small order":    with(func(b []byte) { clear(b[10:]); b[10] = 1 }),
		"no point":          with(func(b []byte) { clear(b[10:]); b[10] = 2 }),
		"not canonical":     with(func(b []byte) { copy(b[10:], bytes.Repeat([]byte{0xff}, 32)); b[10] = 0xee; b[41] = 0x7f }),
		"a line inside":     known[:20] + "\n" + known[20:],
		"spaces":            " " + known,
		"no comment":        "some text\n" + known,
		"a third line":      "untrusted comment: x\n" + known + "\n" + known,
		"long":              strings.Repeat(known, 1000),
		"a node's key":      "ed25519:" + base64.RawURLEncoding.EncodeToString(raw[10:]),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := publisher.ParseKey(text)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, "begins with RW")
		})
	}
}

// What is signed of an image is a text that its publisher can make with Docker alone.
func TestImageText(t *testing.T) {
	text, err := publisher.ImageText(imageID)
	require.NoError(t, err)
	require.Equal(t, imageID+"\n", text)
	for _, id := range []string{"", "psi:1", imageID[7:], imageID + "0", strings.ToUpper(imageID), "sha256:" + strings.ToUpper(imageID[7:]), imageID + "\n", "sha512:" + imageID[7:]} {
		_, err := publisher.ImageText(id)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), id)
	}
}

func TestSignAndVerify(t *testing.T) {
	k, other := key(t), key(t)
	m := publisher.Text(imageID + "\n")
	text, err := k.Sign(m, "acme psi 1.2.0")
	require.NoError(t, err)
	s, err := publisher.ParseSignature(text)
	require.NoError(t, err)
	require.Equal(t, k.Public().ID(), s.KeyID())
	for name, tc := range map[string]struct {
		m    publisher.Message
		keys []publisher.Key
		want string
	}{
		"the key":                      {m, []publisher.Key{k.Public()}, ""},
		"one of several":               {m, []publisher.Key{other.Public(), k.Public()}, ""},
		"no key":                       {m, nil, "which is none of the publisher's"},
		"another key":                  {m, []publisher.Key{other.Public()}, "which is none of the publisher's"},
		"another key of the same ID":   {m, []publisher.Key{renamed(t, other.Public(), k.Public())}, "is not of this content"},
		"both keys of one ID":          {m, []publisher.Key{renamed(t, other.Public(), k.Public()), k.Public()}, ""},
		"another image":                {publisher.Text(strings.Replace(imageID, "0", "1", 1) + "\n"), []publisher.Key{k.Public()}, "another byte was signed"},
		"without its line feed":        {publisher.Text(imageID), []publisher.Key{k.Public()}, "another byte was signed"},
		"the key that is nothing":      {m, []publisher.Key{{}}, "which is none of the publisher's"},
		"with the hash that was kept":  {kept(t, m), []publisher.Key{k.Public()}, ""},
		"another hash that was kept":   {kept(t, publisher.Text("x")), []publisher.Key{k.Public()}, "another byte was signed"},
		"the same keys in other order": {m, []publisher.Key{k.Public(), other.Public(), k.Public()}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			proof, err := publisher.Verify(tc.m, s, tc.keys)
			if tc.want == "" {
				require.NoError(t, err)
				require.Equal(t, k.Public(), proof.Key)
				require.Equal(t, "acme psi 1.2.0", proof.Comment)
				return
			}
			require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// renamed is k with the ID of another key.
func renamed(t *testing.T, k, as publisher.Key) publisher.Key {
	t.Helper()
	bytesOf := func(k publisher.Key) []byte {
		b, err := base64.StdEncoding.DecodeString(k.String())
		require.NoError(t, err)
		return b
	}
	b := append(bytesOf(as)[:10:10], bytesOf(k)[10:]...)
	out, err := publisher.ParseKey(base64.StdEncoding.EncodeToString(b))
	require.NoError(t, err)
	return out
}

// kept is a message of which the hash went through a store.
func kept(t *testing.T, m publisher.Message) publisher.Message {
	t.Helper()
	again, err := publisher.Hashed(m.Hash())
	require.NoError(t, err)
	return again
}

// Any byte of a signature that is changed is found, but for those of the untrusted comment and of line ends.
func TestOneByteOfASignature(t *testing.T) {
	k := key(t)
	m := publisher.Text("x")
	text, err := k.Sign(m, "v1")
	require.NoError(t, err)
	begin := strings.IndexByte(text, '\n') + 1
	for i := begin; i < len(text)-1; i++ {
		changed := []byte(text)
		changed[i] ^= 1
		s, err := publisher.ParseSignature(string(changed))
		if err == nil {
			_, err = publisher.Verify(m, s, []publisher.Key{k.Public()})
		}
		require.Error(t, err, "byte %d of %q", i, text)
	}
}

// Changing one byte of an archive is found, whatever its size; also in the last byte and in its length.
func TestOneByteOfAnArchive(t *testing.T) {
	k := key(t)
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 3 << 20} {
		archive := bytes.Repeat([]byte{7}, size)
		measured := func(b []byte) publisher.Message {
			m, err := publisher.Measure(bytes.NewReader(b))
			require.NoError(t, err)
			return m
		}
		text, err := k.Sign(measured(archive), "")
		require.NoError(t, err)
		s, err := publisher.ParseSignature(text)
		require.NoError(t, err)
		proof, err := publisher.Verify(measured(archive), s, []publisher.Key{k.Public()})
		require.NoError(t, err)
		require.Regexp(t, `^timestamp:\d+$`, proof.Comment)
		others := [][]byte{append(bytes.Clone(archive), 0)}
		for _, at := range []int{0, size / 2, size - 1} {
			if size > 0 {
				other := bytes.Clone(archive)
				other[at] ^= 1
				others = append(others, other, archive[:size-1])
			}
		}
		for _, other := range others {
			_, err = publisher.Verify(measured(other), s, []publisher.Key{k.Public()})
			require.ErrorContains(t, err, "another byte was signed", "%d", size)
		}
	}
}

// The legacy form signs the message itself. It is taken of short texts, and of a file only as long as it is there.
func TestLegacyForm(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	require.NoError(t, err)
	k, err := publisher.ParseKey(public.String())
	require.NoError(t, err)
	text, err := publisher.ImageText(imageID)
	require.NoError(t, err)
	s, err := publisher.ParseSignature(string(minisign.SignWithComments(private, []byte(text), "legacy", "x")))
	require.NoError(t, err)
	proof, err := publisher.Verify(publisher.Text(text), s, []publisher.Key{k})
	require.NoError(t, err)
	require.Equal(t, "legacy", proof.Comment)
	_, err = publisher.Verify(publisher.Text(text+"x"), s, []publisher.Key{k})
	require.ErrorContains(t, err, "another byte was signed")
	_, err = publisher.Verify(kept(t, publisher.Text(text)), s, []publisher.Key{k})
	require.ErrorContains(t, err, "legacy form")

	large := bytes.Repeat([]byte{1}, 64<<10+1)
	s, err = publisher.ParseSignature(string(minisign.Sign(private, large)))
	require.NoError(t, err)
	m, err := publisher.Measure(bytes.NewReader(large))
	require.NoError(t, err)
	_, err = publisher.Verify(m, s, []publisher.Key{k})
	require.ErrorContains(t, err, "legacy form")
	// The hash of a message is no message: a legacy signature over 64 bytes says nothing of the file that hashes to them.
	hash := m.Hash()
	s, err = publisher.ParseSignature(string(minisign.Sign(private, []byte(hash))))
	require.NoError(t, err)
	_, err = publisher.Verify(m, s, []publisher.Key{k})
	require.Error(t, err)
}

func TestParseSignatureRefuses(t *testing.T) {
	text, err := key(t).Sign(publisher.Text("x"), "c")
	require.NoError(t, err)
	l := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	require.Len(t, l, 4)
	lines := func(l ...string) string { return strings.Join(l, "\n") + "\n" }
	raw, err := base64.StdEncoding.DecodeString(l[1])
	require.NoError(t, err)
	algorithm := binary.LittleEndian.AppendUint16(nil, 7)
	for name, text := range map[string]string{
		"nothing":               "",
		"one line":              l[0],
		"three lines":           lines(l[0], l[1], l[2]),
		"a fifth line":          lines(l[0], l[1], l[2], l[3], "x"),
		"an empty fifth line":   lines(l[0], l[1], l[2], l[3], "", ""),
		"no untrusted comment":  lines("x", l[1], l[2], l[3]),
		"no trusted comment":    lines(l[0], l[1], "x", l[3]),
		"other order":           lines(l[2], l[3], l[0], l[1]),
		"no base64":             lines(l[0], "!"+l[1][1:], l[2], l[3]),
		"short":                 lines(l[0], l[1][4:], l[2], l[3]),
		"long":                  lines(l[0], l[1]+"AAAA", l[2], l[3]),
		"short second":          lines(l[0], l[1], l[2], l[3][4:]),
		"another algorithm":     lines(l[0], base64.StdEncoding.EncodeToString(append(algorithm, raw[2:]...)), l[2], l[3]),
		"a space":               lines(l[0], l[1]+" ", l[2], l[3]),
		"a carriage return":     lines(l[0], l[1][:10]+"\r"+l[1][10:], l[2], l[3]),
		"NUL":                   strings.Replace(text, "c\n", "\x00\n", 1),
		"not UTF-8":             strings.Replace(text, "comment: c", "comment: \xff", 1),
		"a comment of megabyte": lines("untrusted comment: "+strings.Repeat("x", 1<<20), l[1], l[2], l[3]),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := publisher.ParseSignature(text)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%q", text)
			require.ErrorContains(t, err, ".minisig")
		})
	}
	for name, text := range map[string]string{
		"as written":     text,
		"no last line":   strings.TrimSuffix(text, "\n"),
		"Windows' lines": strings.ReplaceAll(text, "\n", "\r\n"),
	} {
		_, err := publisher.ParseSignature(text)
		require.NoError(t, err, name)
	}
}

// A trusted comment moves no cursor of those who read it.
func TestCommentsAreShown(t *testing.T) {
	k := key(t)
	_, err := k.Sign(publisher.Text("x"), "a\nb")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	public, private, err := minisign.GenerateKey(nil)
	require.NoError(t, err)
	s, err := publisher.ParseSignature(string(minisign.SignWithComments(private, []byte("x"), "a\x1b[31m\u202eb"+strings.Repeat("x", 500), "")))
	require.NoError(t, err)
	read, err := publisher.ParseKey(public.String())
	require.NoError(t, err)
	proof, err := publisher.Verify(publisher.Text("x"), s, []publisher.Key{read})
	require.NoError(t, err)
	require.NotContains(t, proof.Comment, "\x1b")
	require.NotContains(t, proof.Comment, "\u202e")
	require.LessOrEqual(t, len(proof.Comment), 300)
}

func TestHashed(t *testing.T) {
	for _, text := range []string{"", "00", strings.Repeat("0", 127), strings.Repeat("x", 128)} {
		_, err := publisher.Hashed(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	}
}

func TestPrivateKeys(t *testing.T) {
	k, public, private, err := publisher.GenerateKey()
	require.NoError(t, err)
	again, err := publisher.ParsePrivate([]byte(private), "")
	require.NoError(t, err)
	require.Equal(t, k.Public(), again.Public())
	read, err := publisher.ParseKey(public)
	require.NoError(t, err)
	require.Equal(t, k.Public(), read)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", k, k, k), "[")
	for name, text := range map[string]string{
		"nothing": "", "a word": "x", "a public key": public, "long": strings.Repeat(private, 100), "cut": private[:len(private)-9],
	} {
		_, err := publisher.ParsePrivate([]byte(text), "")
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
}

// Debian's minisign and this package take each other's keys and signatures, of both forms.
func TestGenuineMinisign(t *testing.T) {
	genuineOfFile(t)
	program, err := exec.LookPath("minisign")
	if err != nil {
		return // what it wrote once has been verified
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoErrorf(t, err, "%v: %s", args, out)
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(b)
	}
	write := func(name, text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("id", imageID+"\n")
	run("-G", "-W", "-p", "their.pub", "-s", "their.key")
	theirs, err := publisher.ParseKey(read("their.pub"))
	require.NoError(t, err)
	for _, form := range []string{"-H", "-l"} {
		run("-S", form, "-s", "their.key", "-t", "of "+form, "-m", "id", "-x", "sig"+form)
		s, err := publisher.ParseSignature(read("sig" + form))
		require.NoError(t, err)
		proof, err := publisher.Verify(publisher.Text(imageID+"\n"), s, []publisher.Key{theirs})
		require.NoError(t, err)
		require.Equal(t, "of "+form, proof.Comment)
	}
	private, err := publisher.ParsePrivate([]byte(read("their.key")), "")
	require.NoError(t, err)
	require.Equal(t, theirs, private.Public())

	mine, public, text, err := publisher.GenerateKey()
	require.NoError(t, err)
	write("my.pub", public)
	write("my.key", text)
	sig, err := mine.Sign(publisher.Text(imageID+"\n"), "mine")
	require.NoError(t, err)
	write("my.sig", sig)
	run("-V", "-p", "my.pub", "-m", "id", "-x", "my.sig")
	run("-S", "-s", "my.key", "-m", "id", "-x", "my2.sig")
}

// genuineOfFile verifies signatures that Debian's minisign 0.11 has made, for machines that lack it.
func genuineOfFile(t *testing.T) {
	t.Helper()
	public, err := os.ReadFile(filepath.Join("testdata", "genuine.pub"))
	require.NoError(t, err)
	k, err := publisher.ParseKey(string(public))
	require.NoError(t, err)
	for _, form := range []string{"prehashed", "legacy"} {
		text, err := os.ReadFile(filepath.Join("testdata", form+".minisig"))
		require.NoError(t, err)
		s, err := publisher.ParseSignature(string(text))
		require.NoError(t, err)
		proof, err := publisher.Verify(publisher.Text(imageID+"\n"), s, []publisher.Key{k})
		require.NoError(t, err)
		require.Equal(t, form, proof.Comment)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(known)
	f.Add("untrusted comment: x\n" + known + "\n")
	fuzzing.Within(f, func(t *testing.T, text string) {
		k, err := publisher.ParseKey(text)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		again, err := publisher.ParseKey(k.String())
		require.NoError(t, err)
		require.Equal(t, k, again)
		require.Contains(t, text, k.String())
	})
}

func FuzzParseSignature(f *testing.F) {
	k := key(f)
	text, err := k.Sign(publisher.Text("x"), "c")
	require.NoError(f, err)
	f.Add(text)
	public, private, err := minisign.GenerateKey(nil)
	require.NoError(f, err)
	f.Add(string(minisign.Sign(private, []byte("x"))))
	theirs, err := publisher.ParseKey(public.String())
	require.NoError(f, err)
	fuzzing.Within(f, func(t *testing.T, text string) {
		s, err := publisher.ParseSignature(text)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		_, err = publisher.Verify(publisher.Text("another"), s, []publisher.Key{k.Public(), theirs})
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
	})
}

func FuzzParsePrivate(f *testing.F) {
	_, _, private, err := publisher.GenerateKey()
	require.NoError(f, err)
	f.Add([]byte(private))
	fuzzing.Within(f, func(t *testing.T, text []byte) {
		if minisign.IsEncrypted(text) {
			return // it takes a gigabyte, by minisign's own rule
		}
		k, err := publisher.ParsePrivate(text, "")
		if err == nil {
			require.NotEmpty(t, k.Public().String())
		}
	})
}

// A key whose halves do not belong together signs nothing that its public half verifies, and does no harm.
func TestHalvesOfAKey(t *testing.T) {
	_, _, private, err := publisher.GenerateKey()
	require.NoError(t, err)
	lines := strings.SplitN(strings.TrimSpace(private), "\n", 2)
	raw, err := base64.StdEncoding.DecodeString(lines[1])
	require.NoError(t, err)
	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	copy(raw[62+32:], other)
	k, err := publisher.ParsePrivate([]byte(lines[0]+"\n"+base64.StdEncoding.EncodeToString(raw)), "")
	require.Error(t, err, "%v", k)
}
