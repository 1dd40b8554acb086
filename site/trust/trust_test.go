package trust_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
	"openflow/tests/fuzzing"
)

func requireCode(tb testing.TB, want openflow.Code, err error) {
	tb.Helper()
	require.Equalf(tb, want, openflow.CodeOf(err), "error: %v", err)
}

func newKey(tb testing.TB) trust.Key {
	tb.Helper()
	k, err := trust.LoadOrCreateKey(filepath.Join(tb.TempDir(), "home"))
	require.NoError(tb, err)
	return k
}

func TestKeyStaysTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node", "home")
	first, err := trust.LoadOrCreateKey(dir)
	require.NoError(t, err)
	second, err := trust.LoadOrCreateKey(dir)
	require.NoError(t, err)
	require.Equal(t, first, second)

	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "node.key"): 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing temporary stays")

	require.NotEqual(t, first.Public(), newKey(t).Public())
}

func TestConcurrentFirstStartsAgree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	keys := make([]trust.Key, 8)
	errs := make([]error, len(keys))
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i], errs[i] = trust.LoadOrCreateKey(dir) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, k := range keys {
		require.Equal(t, keys[0], k)
	}
}

func TestSecretsOpenToOthersAreRefused(t *testing.T) {
	load := map[string]func(dir string) error{
		"node.key":     func(dir string) error { _, err := trust.LoadOrCreateKey(dir); return err },
		"task.secret":  func(dir string) error { _, err := trust.LoadOrCreateCredentials(dir); return err },
		"api.token":    func(dir string) error { _, err := trust.LoadOrCreateToken(dir); return err },
		"worker.token": func(dir string) error { _, _, err := trust.LoadOrCreateWorkerToken(dir); return err },
	}
	for file, load := range load {
		t.Run(file, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "home")
			require.NoError(t, load(dir))
			require.NoError(t, os.Chmod(filepath.Join(dir, file), 0o640))
			err := load(dir)
			requireCode(t, openflow.CodePermission, err)
			require.ErrorContains(t, err, "chmod 600 "+filepath.Join(dir, file))
			require.NoError(t, os.Chmod(filepath.Join(dir, file), 0o600))
			require.NoError(t, os.Chmod(dir, 0o755))
			err = load(dir)
			requireCode(t, openflow.CodePermission, err)
			require.ErrorContains(t, err, "chmod 700 "+dir)
		})
	}
}

func TestDamagedFilesAreKept(t *testing.T) {
	for file, c := range map[string]struct {
		content string
		load    func(dir string) error
		code    openflow.Code
	}{
		"node.key":    {"ed25519-private:s3cr3t", func(dir string) error { _, err := trust.LoadOrCreateKey(dir); return err }, openflow.CodeInternal},
		"task.secret": {"", func(dir string) error { _, err := trust.LoadOrCreateCredentials(dir); return err }, openflow.CodeInternal},
		"api.token":   {"s3cr3t", func(dir string) error { _, err := trust.LoadOrCreateToken(dir); return err }, openflow.CodeInvalid},
	} {
		t.Run(file, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "home")
			require.NoError(t, os.Mkdir(dir, 0o700))
			path := filepath.Join(dir, file)
			require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
			err := c.load(dir)
			requireCode(t, c.code, err)
			require.NotContains(t, err.Error(), "s3cr3t", "a secret does not show in an error")
			kept, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.content, string(kept))
		})
	}
}

func TestPrintingAKeyShowsThePublicHalf(t *testing.T) {
	k := newKey(t)
	for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
		require.Equal(t, k.Public().String(), fmt.Sprintf(format, k), format)
	}
}

func TestParsePublicKey(t *testing.T) {
	good := newKey(t).Public()
	parsed, err := trust.ParsePublicKey(good.String())
	require.NoError(t, err)
	require.Equal(t, good, parsed)
	require.Len(t, good.String(), len("ed25519:")+43)
	require.Regexp(t, `^[0-9a-f]{16}$`, good.ID())

	text := strings.TrimPrefix(good.String(), "ed25519:")
	for name, s := range map[string]string{
		"empty":        "",
		"no prefix":    text,
		"other prefix": "rsa:" + text,
		"short":        "ed25519:" + text[1:],
		"long":         "ed25519:" + text + "A",
		"padded":       "ed25519:" + text + "=",
		"line break":   "ed25519:" + text[:20] + "\n" + text[20:],
		"space":        " ed25519:" + text,
		"spare bits":   "ed25519:" + strings.Repeat("A", 42) + "B",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trust.ParsePublicKey(s)
			requireCode(t, openflow.CodeInvalid, err)
		})
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add("ed25519:" + strings.Repeat("A", 43))
	f.Add("ed25519:AAAA\nAAAA")
	f.Add("ed25519:")
	fuzzing.Within(f, func(t *testing.T, s string) {
		k, err := trust.ParsePublicKey(s)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.Equal(t, s, k.String())
	})
}

var someTask = openflow.TaskKey{Scheduler: "9999", Job: "20.25", Task: "psi_0", Version: 1, Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}

func TestCredentials(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	ours, err := trust.LoadOrCreateCredentials(dir)
	require.NoError(t, err)
	again, err := trust.LoadOrCreateCredentials(dir)
	require.NoError(t, err)
	others, err := trust.LoadOrCreateCredentials(filepath.Join(t.TempDir(), "home"))
	require.NoError(t, err)

	require.Equal(t, ours.Name(), again.Name(), "replicas share the secret")
	require.NotEqual(t, ours.Name(), others.Name())

	token := ours.Issue(someTask)
	require.True(t, strings.HasPrefix(token, string(someTask.RunID())+"."))
	require.Equal(t, token, again.Issue(someTask), "a restart keeps credentials")
	id, err := again.Check(token)
	require.NoError(t, err)
	require.Equal(t, someTask.RunID(), id)

	other := someTask
	other.Version = 2
	mac := token[strings.LastIndex(token, ".")+1:]
	for name, bad := range map[string]string{
		"empty":             "",
		"no mac":            string(someTask.RunID()),
		"empty mac":         string(someTask.RunID()) + ".",
		"only mac":          "." + mac,
		"of another node":   others.Issue(someTask),
		"of another task":   string(other.RunID()) + "." + mac,
		"cut":               token[:len(token)-1],
		"with a line break": token[:len(token)-4] + "\n" + token[len(token)-4:],
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ours.Check(bad)
			requireCode(t, openflow.CodeUnauthorized, err)
		})
	}
	_, err = trust.Credentials{}.Check(trust.Credentials{}.Issue(someTask))
	requireCode(t, openflow.CodeUnauthorized, err)
}

func FuzzCheck(f *testing.F) {
	c, err := trust.LoadOrCreateCredentials(filepath.Join(f.TempDir(), "home"))
	require.NoError(f, err)
	token := c.Issue(someTask)
	f.Add(token)
	f.Add(token + "x")
	f.Add("a.b")
	f.Add(".")
	fuzzing.Within(f, func(t *testing.T, s string) {
		if _, err := c.Check(s); err == nil {
			require.Equal(t, token, s, "a credential that nobody issued")
		}
	})
}

func TestToken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	first, err := trust.LoadOrCreateToken(dir)
	require.NoError(t, err)
	second, err := trust.LoadOrCreateToken(dir)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.GreaterOrEqual(t, len(first), 43)

	require.True(t, trust.SameToken(first, second))
	require.False(t, trust.SameToken(first, first[1:]))
	require.False(t, trust.SameToken(first, ""))
	require.False(t, trust.SameToken("", ""))
}

// keys is a key source in memory.
type keys map[openflow.PartyID][]trust.PublicKey

func (k keys) PublicKeys(_ context.Context, p openflow.PartyID) ([]trust.PublicKey, error) {
	if list, ok := k[p]; ok {
		return list, nil
	}
	return nil, openflow.Errorf(openflow.CodeNotFound, "site %s is not known here", p)
}

func mustRequest(tb testing.TB, method, url string) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, url, nil)
	require.NoError(tb, err)
	return r
}

// A rotation holds at once, for whoever has loaded the token before.
// A worker token is handed out with the key of its node, whatever is in the token itself.
func TestHandedOutTokens(t *testing.T) {
	key := newKey(t).Public()
	for _, token := range []string{"a-token-of-the-site", "with@an-at-sign-in-it", "with@ed25519:in-it"} {
		got, by, err := trust.TakeOver(trust.HandOut(token, key))
		require.NoError(t, err)
		require.Equal(t, token, got)
		require.Equal(t, key, by)
	}
	whole := trust.HandOut("a-token-of-the-site", key)
	for _, broken := range []string{whole[:len(whole)-1], whole + "x", "a-token-of-the-site@ed25519:", "t@ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		_, _, err := trust.TakeOver(broken)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), broken)
		require.NotContains(t, err.Error(), "a-token")
	}
	got, by, err := trust.TakeOver("a-token-of-the-site")
	require.NoError(t, err)
	require.Equal(t, "a-token-of-the-site", got)
	require.Equal(t, trust.PublicKey{}, by)
}

func TestWorkerToken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	token, first, err := trust.LoadOrCreateWorkerToken(dir)
	require.NoError(t, err)
	_, again, err := trust.LoadOrCreateWorkerToken(dir)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.NoError(t, token.Check(first))
	for _, wrong := range []string{"", "x", first + "x", first[:len(first)-1]} {
		requireCode(t, openflow.CodeUnauthorized, token.Check(wrong))
	}
	second, err := trust.RotateWorkerToken(dir)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	requireCode(t, openflow.CodeUnauthorized, token.Check(first))
	require.NoError(t, token.Check(second))
}
