package certificates_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust/certificates"
)

var names = []string{"localhost", "127.0.0.1", "::1"}

// folder is one that is closed to others.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(dir, 0o700))
	return dir
}

func read(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block, "%s", text)
	c, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return c
}

// A certificate of a node's own is kept, is renewed before it ends, and is made anew for other names. Its key stays.
func TestOwn(t *testing.T) {
	dir, now := folder(t), time.Now()
	file := filepath.Join(dir, "users.pem")
	open := func(names ...string) *certificates.Own {
		o, err := certificates.OpenOwn(dir, file, names, func() time.Time { return now })
		require.NoError(t, err)
		return o
	}
	o := open(names...)
	first := o.Show().Leaf
	require.IsType(t, &ecdsa.PublicKey{}, first.PublicKey)
	require.False(t, first.IsCA, "who trusts it trusts nothing else that the key might sign")
	for _, name := range names {
		require.NoError(t, first.VerifyHostname(name))
	}
	require.Error(t, first.VerifyHostname("bank.example"))
	for _, name := range []string{"users.pem", certificates.KeyFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	require.Equal(t, first.Raw, read(t, file).Raw)
	require.Equal(t, first.Raw, open("::1", "LOCALHOST", "127.0.0.1", "localhost").Show().Leaf.Raw, "the same names, another time")

	now = first.NotAfter.Add(-61 * 24 * time.Hour)
	require.Equal(t, first.Raw, o.Show().Leaf.Raw, "it is not due")
	now = first.NotAfter.Add(-59 * 24 * time.Hour)
	renewed, err := o.State()
	require.NoError(t, err)
	require.True(t, renewed.NotAfter.After(first.NotAfter))
	require.Equal(t, first.RawSubjectPublicKeyInfo, renewed.RawSubjectPublicKeyInfo)
	require.Equal(t, renewed.Raw, read(t, file).Raw)

	named := open(append(names, "node.bank.example")...).Show().Leaf
	require.NoError(t, named.VerifyHostname("node.bank.example"))
	require.Equal(t, first.RawSubjectPublicKeyInfo, named.RawSubjectPublicKeyInfo)
}

// A certificate that cannot be written is shown all the same, and State says so. Once it can be, it is: not at once, since each
// handshake asks.
func TestOwnThatCannotBeWritten(t *testing.T) {
	dir, now := folder(t), time.Now()
	file := filepath.Join(dir, "none", "users.pem")
	o, err := certificates.OpenOwn(dir, file, names, func() time.Time { return now })
	require.NoError(t, err)
	require.NotNil(t, o.Show())
	_, err = o.State()
	require.ErrorContains(t, err, "none")
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
	_, err = o.State()
	require.Error(t, err, "a moment later")
	now = now.Add(2 * time.Minute)
	shown, err := o.State()
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	require.Equal(t, shown.Raw, block.Bytes)
}

// Files that others may read or change, and keys that are none, are refused by name.
func TestRefusedFiles(t *testing.T) {
	open := func(dir string) error {
		_, err := certificates.OpenOwn(dir, filepath.Join(dir, "users.pem"), names, time.Now)
		return err
	}
	made := func() string {
		dir := folder(t)
		require.NoError(t, open(dir))
		return dir
	}
	for name, tc := range map[string]struct {
		spoil func(dir string) error
		code  openflow.Code
	}{
		"a key that its group may read":         {func(d string) error { return os.Chmod(filepath.Join(d, certificates.KeyFile), 0o640) }, openflow.CodePermission},
		"a certificate that others may replace": {func(d string) error { return os.Chmod(filepath.Join(d, "users.pem"), 0o666) }, openflow.CodePermission},
		"a folder that others may enter":        {func(d string) error { return os.Chmod(d, 0o755) }, openflow.CodePermission},
		"a key that is none":                    {func(d string) error { return os.WriteFile(filepath.Join(d, certificates.KeyFile), []byte("x"), 0o600) }, openflow.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			dir := made()
			require.NoError(t, tc.spoil(dir))
			require.Equal(t, tc.code, openflow.CodeOf(open(dir)), "%v", open(dir))
		})
	}
	dir := made()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "users.pem"), []byte("nothing"), 0o600))
	require.NoError(t, open(dir), "a certificate that is none is made anew")
}

// pair writes a certificate and its key as an operator would, and tells which one it is.
func pair(t *testing.T, certificate, key string) *x509.Certificate {
	t.Helper()
	dir := folder(t)
	o, err := certificates.OpenOwn(dir, filepath.Join(dir, "users.pem"), names, time.Now)
	require.NoError(t, err)
	for from, to := range map[string]string{"users.pem": certificate, certificates.KeyFile: key} {
		if to == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+".new", text, 0o600))
		require.NoError(t, os.Rename(to+".new", to))
	}
	return o.Show().Leaf
}

// Files are read again when they change. Those that do not belong together change nothing, and State says why.
func TestFilesAreReadAgain(t *testing.T) {
	dir := folder(t)
	certificate, key, shown := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "users.pem")
	first := pair(t, certificate, key)
	f, err := certificates.Open(certificate, key, shown)
	require.NoError(t, err)
	require.Equal(t, first.Raw, f.Show().Leaf.Raw)
	require.Equal(t, first.Raw, read(t, shown).Raw, "programs of this machine know it by its copy")

	pair(t, certificate, "") // the key is still the old one
	_, err = f.State()
	require.ErrorContains(t, err, "does not match")
	require.Equal(t, first.Raw, f.Show().Leaf.Raw)

	second := pair(t, certificate, key)
	now, err := f.State()
	require.NoError(t, err)
	require.Equal(t, second.Raw, now.Raw)
	require.Equal(t, second.Raw, read(t, shown).Raw)

	require.NoError(t, os.Remove(key))
	_, err = f.State()
	require.Error(t, err)
	require.Equal(t, second.Raw, f.Show().Leaf.Raw)
}

func TestFilesThatAreNone(t *testing.T) {
	dir := folder(t)
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair(t, certificate, key)
	_, err := certificates.Open(certificate, filepath.Join(dir, "missing"), "")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
	_, err = certificates.Open(key, key, "")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
	require.NoError(t, os.Chmod(key, 0o640))
	_, err = certificates.Open(certificate, key, "")
	require.NoError(t, err, "its group may read it")
	require.NoError(t, os.Chmod(key, 0o644))
	_, err = certificates.Open(certificate, key, "")
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
}

func TestRootsAreReadAgain(t *testing.T) {
	dir := folder(t)
	file := filepath.Join(dir, "ca.pem")
	first := pair(t, file, "")
	r, err := certificates.OpenRoots(file)
	require.NoError(t, err)
	ends, err := r.State()
	require.NoError(t, err)
	require.Equal(t, first.NotAfter, ends)
	before := r.Pool()

	second := pair(t, file, "")
	require.False(t, before.Equal(r.Pool()))
	want := x509.NewCertPool()
	want.AddCert(second)
	require.True(t, want.Equal(r.Pool()))

	require.NoError(t, os.WriteFile(file, []byte("nothing"), 0o600))
	_, err = r.State()
	require.ErrorContains(t, err, "holds no certificate")
	require.True(t, want.Equal(r.Pool()), "those of before are believed on")
	_, err = certificates.OpenRoots(filepath.Join(dir, "missing"))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}
