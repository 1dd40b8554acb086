package attacks_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/site/trust/publisher"
	"openflow/tests/env"
)

// said is a job that runs the component of acme's.
func said() *openflow.DAG {
	return env.DAG(env.Parties("guest 9999"), openflow.Task{
		Name: "a", Component: "noop", Parameters: openflow.Parameters{"word": "x"}, Conf: openflow.TaskConf{Provider: "acme"},
	})
}

// Who has a publisher's key that was revoked, or changes what it has signed, gets nothing run: neither registered nor, where it
// was registered before, launched. The reason names the rule.
func TestRevokedKeyRunsNothing(t *testing.T) {
	key, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	next, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	policy := func(k publisher.Private) string {
		return fmt.Sprintf("images: {publishers: [%q]}\n", "acme "+k.Public().String())
	}
	e := env.New(t, env.Party("9999"), env.Trust("acme"), env.Policy("9999", policy(key)))
	path := env.Acme(t, "1.0.0")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(content)
	text, err := publisher.ImageText("sha256:" + hex.EncodeToString(sum[:]))
	require.NoError(t, err)
	register := func(k publisher.Private, m publisher.Message) error {
		signature, err := k.Sign(m, "acme 1.0.0")
		require.NoError(t, err)
		_, err = (&sdk.Client{URL: e.URL("9999")}).RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: path, Signature: signature})
		return err
	}
	require.ErrorContains(t, register(key, publisher.Text(string(content)+"x")), "policy.images.publishers: ")
	require.ErrorContains(t, register(next, publisher.Text(text)), "policy.images.publishers: ")
	require.NoError(t, register(key, publisher.Text(string(content))))
	require.NoError(t, register(key, publisher.Text(text)))
	papers, err := (&sdk.Client{URL: e.URL("9999")}).ProviderPapers(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, key.Public().Describe(), papers.SignedBy)
	require.Equal(t, "acme 1.0.0", papers.Comment)
	require.Contains(t, string(papers.SBOM), "pkg:golang/stdlib@")
	require.Empty(t, papers.Refused)
	user := e.As(t, "9999")
	user.WaitFor(user.Submit(said()), openflow.JobSuccess)

	require.NoError(t, os.WriteFile(filepath.Join(e.Home("9999"), "policy.yaml"), []byte(policy(next)), 0o600))
	e.Restart(t, "9999")
	user = e.As(t, "9999")
	id := user.Submit(said())
	user.WaitFor(id, openflow.JobFailed)
	require.Contains(t, user.Tasks(id)[0].Reason, "policy.images.publishers: the signature names key "+key.Public().ID())
	require.NoError(t, register(next, publisher.Text(text)))
	user.WaitFor(user.Submit(said()), openflow.JobSuccess)
}

// A vulnerability that becomes known stops what is registered already, and the operator reads which and what mends it.
func TestVulnerabilityThatBecomesKnown(t *testing.T) {
	folder := t.TempDir()
	record := func(fixed string) {
		text := fmt.Sprintf(`{"id":"GO-2026-1","summary":"bad","affected":[{"package":{"ecosystem":"Go","name":"stdlib"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`, fixed)
		require.NoError(t, os.WriteFile(filepath.Join(folder, "GO-2026-1.json"), []byte(text), 0o600))
	}
	record("1.0.0")
	e := env.New(t, env.Party("9999"), env.Trust("acme"), env.Policy("9999", fmt.Sprintf("images: {vulnerabilities: %q}\n", folder)))
	site := &sdk.Client{URL: e.URL("9999")}
	_, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: env.Acme(t, "1.0.0")})
	require.NoError(t, err)
	user := e.As(t, "9999")
	user.WaitFor(user.Submit(said()), openflow.JobSuccess)
	record("99.0.0")
	e.Restart(t, "9999") // so that nobody waits until the folder is looked at again
	user = e.As(t, "9999")
	id := user.Submit(said())
	user.WaitFor(id, openflow.JobFailed)
	require.Contains(t, user.Tasks(id)[0].Reason, "GO-2026-1 (unrated) in Go stdlib")
	require.Contains(t, user.Tasks(id)[0].Reason, "mended in 99.0.0")
	papers, err := (&sdk.Client{URL: e.URL("9999")}).ProviderPapers(t.Context(), "acme")
	require.NoError(t, err)
	require.Len(t, papers.Vulnerabilities, 1)
	require.Contains(t, papers.Refused, "policy.images.blocking_severity")
}

// The site's policy bounds what one run may store, whatever the node's own bound is.
func TestPolicyBoundsWhatARunStores(t *testing.T) {
	const limit = 1 << 20
	e := env.New(t, env.Party("9999"), env.Policy("9999", "containers: {max_stored: 1MiB}\n"))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	run := openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	put := func(size int) error {
		return own(t, e, run, http.MethodPut, "/openflow/v1/container/data/object", wire.ArrowStream, bytes.NewReader(make([]byte, size))).Err()
	}
	require.Equal(t, openflow.CodeSpent, openflow.CodeOf(put(limit+1)))
	require.NoError(t, put(limit/2))
	release()
	user.WaitFor(job, openflow.JobSuccess)
}
