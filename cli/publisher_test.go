package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// A publisher makes a key, signs a file and a digest, and whoever has the public half verifies both. No node is asked.
func TestPublisher(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	made := run(t, "provider", "key", "--out", at("acme"))
	require.Zero(t, made.code, made.stderr)
	public, err := os.ReadFile(at("acme.pub"))
	require.NoError(t, err)
	key := strings.Split(string(public), "\n")[1]
	require.Contains(t, made.stdout, key)
	info, err := os.Stat(at("acme.key"))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	require.NotZero(t, run(t, "provider", "key", "--out", at("acme")).code, "no key is written over")

	archive := writeFile(t, "acme.tar", strings.Repeat("archive", 20_000))
	signed := run(t, "provider", "sign", archive, "--key", at("acme.key"), "--comment", "acme psi 1")
	require.Zero(t, signed.code, signed.stderr)
	for _, key := range []string{key, at("acme.pub")} {
		r := run(t, "provider", "verify", archive, "--key", key)
		require.Zero(t, r.code, r.stderr)
		require.Contains(t, r.stdout, "acme psi 1")
	}
	r := run(t, "provider", "verify", archive, "--key", key, "-o", "json")
	require.Equal(t, "acme psi 1", r.document(t).(map[string]any)["comment"])

	text := run(t, "provider", "sign", someDigest, "--key", at("acme.key"))
	require.Zero(t, text.code, text.stderr)
	signature := writeFile(t, "id.minisig", text.stdout)
	require.Zero(t, run(t, "provider", "verify", someDigest, "--key", key, "--signature", signature).code)
	require.Zero(t, run(t, "provider", "sign", someDigest, "--key", at("acme.key"), "--out", at("again")).code)
	require.Zero(t, run(t, "provider", "verify", someDigest, "--key", key, "--signature", at("again")).code)

	// What is another content, another key, or no signature is told.
	other := "sha256:1" + someDigest[len("sha256:0"):]
	require.Zero(t, run(t, "provider", "key", "--out", at("zeta")).code)
	require.NoError(t, os.WriteFile(archive, []byte("another"), 0o600))
	for name, args := range map[string][]string{
		"another byte was signed": {archive, "--key", key},
		"none of the publisher's": {someDigest, "--key", at("zeta.pub"), "--signature", signature},
		"was changed":             {other, "--key", key, "--signature", signature},
	} {
		r := run(t, append([]string{"provider", "verify"}, args...)...)
		require.Equal(t, 1, r.code, r.stderr)
		require.Contains(t, r.stderr, name)
	}
	for _, args := range [][]string{
		{"verify", archive}, {"verify", someDigest, "--key", key}, {"verify", archive, "--key", "x"}, {"verify", archive, "--key", key, "--signature", archive},
		{"verify", at("absent"), "--key", key}, {"sign", at("absent"), "--key", at("acme.key")}, {"sign", archive, "--key", at("acme.pub")},
		{"sign", archive, "--key", at("absent")}, {"sign", archive, "--key", at("acme.key"), "--comment", "two\nlines"},
	} {
		require.Equal(t, 2, run(t, append([]string{"provider"}, args...)...).code, "%v", args)
	}
}

// A signature that lies beside what is registered goes along, and so does what --signature and --sbom name.
func TestPapersGoAlong(t *testing.T) {
	asked, url := newFake(t, map[string]string{"POST /openflow/v1/user/provider/register": `{"name":"acme","version":"1"}`})
	archive := writeFile(t, "acme.tar", "x")
	require.NoError(t, os.WriteFile(archive+".minisig", []byte("the signature"), 0o600))
	list := writeFile(t, "parts.json", `{"bomFormat":"CycloneDX"}`)
	require.Zero(t, run(t, "provider", "register", archive, "--sbom", list, "--node", url).code)
	body := asked.got("POST /openflow/v1/user/provider/register")
	require.Contains(t, body, `"signature":"the signature"`)
	require.Contains(t, body, `"sbom":{"bomFormat":"CycloneDX"}`)
	require.Equal(t, 2, run(t, "provider", "register", archive, "--sbom", archive, "--node", url).code)
	require.Equal(t, 2, run(t, "provider", "register", archive, "--signature", archive+"x", "--node", url).code)
}

// A description is given in JSON or YAML, and goes to the node as JSON.
func TestDescriptionsThatAreGiven(t *testing.T) {
	asked, url := newFake(t, map[string]string{"POST /openflow/v1/user/provider/register": `{"name":"acme","version":"1"}`})
	plain := writeFile(t, "psi.json", `{"component":{"name":"psi"}}`)
	yaml := writeFile(t, "lr.yaml", "component:\n  name: lr\n  version: 2.2.0\n  roles: [guest]\n")
	require.Zero(t, run(t, "provider", "register", "acme:1", "--description", plain, "--description", yaml, "--node", url).code)
	require.Contains(t, asked.got("POST /openflow/v1/user/provider/register"),
		`"descriptions":[{"component":{"name":"psi"}},{"component":{"name":"lr","roles":["guest"],"version":"2.2.0"}}]`)
	for text, says := range map[string]string{
		"a: [": "is neither JSON nor YAML", "a: 1\na: 2": "is neither JSON nor YAML", strings.Repeat("x", 1<<20+1): "has more than 1048576 bytes",
	} {
		got := run(t, "provider", "register", "acme:1", "--description", writeFile(t, "wrong.yaml", text), "--node", url)
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stderr, says)
	}
	require.Equal(t, 2, run(t, "provider", "register", "acme:1", "--description", "/nowhere", "--node", url).code)
	got := run(t, "provider", "register", "gone.tar", "--node", url)
	require.Equal(t, 2, got.code)
	require.Contains(t, got.stderr, "there is no file gone.tar here")
}
