package attacks_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker"
	"openflow/node"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/store/catalogue"
	"openflow/tests/env"
)

// vendor builds the vendor's program that attacks in many modes.
func vendor(t *testing.T, flags string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hostile")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags", flags, "-o", path, "openflow/tests/attacks/hostile")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	return path
}

// attacks is a job in which the hostile program does something.
func attacks(parameters openflow.Parameters) *openflow.DAG {
	return env.DAG(env.Parties("guest 9999"), openflow.Task{Name: "a", Component: "attack", Parameters: parameters, Conf: openflow.TaskConf{Provider: "hostile"}})
}

// A hostile image in Docker reaches neither the internet, nor the machine, nor another task, nor what others have; what it
// takes is bounded, and its end says so. The node goes on.
func TestHostileImage(t *testing.T) {
	var dir string
	e := env.New(t, env.Party("9999"), env.Configure(func(c *node.Config) {
		c.Runtime, c.Components, dir = docker.Opener{}, env.Components(t), c.Home
		c.Limits.TaskMemory = 256 << 20
		c.Bounds.Rows = catalogue.Bound{Run: 1 << 20}
	}), env.Policy("9999", "containers: {max_processes: 64, max_disk: 32MiB, max_log: 4MiB}\n"))
	t.Cleanup(func() { vacate(t, e, dir) })
	site, user := &sdk.Client{URL: e.URL("9999")}, e.As(t, "9999")
	_, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: "hostile", Place: vendor(t, "")})
	require.NoError(t, err)
	log := func(job openflow.JobID) string { return user.TaskLog(env.Run(job, "guest", "9999", "a")) }
	contained := func(t *testing.T, job openflow.JobID, tried ...string) {
		t.Helper()
		text := log(job)
		require.NotContains(t, text, "BROKEN")
		for _, what := range tried {
			require.Contains(t, text, "contained: "+what)
		}
	}

	victim := user.Submit(attacks(openflow.Parameters{"mode": "victim"}))
	user.WaitForTask(victim, "a", openflow.TaskRunning)
	key := openflow.TaskKey{Scheduler: "9999", Job: victim, Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	users, err := url.Parse(e.URL("9999"))
	require.NoError(t, err)
	application, err := strconv.Atoi(users.Port())
	require.NoError(t, err)
	id := user.Submit(attacks(openflow.Parameters{"mode": "look", "run": wire.PartyTaskID(key), "session": wire.FederationID(key), "ports": []int{application}}))
	user.WaitFor(id, openflow.JobSuccess)
	contained(t, id,
		"internet 1.1.1.1:443", "a name of the internet", "port 22 of the machine", "another task's container", "/var/run/docker.sock", "write /x",
		"mount", "raw packets", "a report for another task", "metrics of another task", "messages of another task", "the users' interface")

	for mode, tried := range map[string][]string{"disk": {"filling /", "filling /tmp", "filling /dev/shm"}, "metrics": {"endless metrics"}} {
		t.Run(mode, func(t *testing.T) {
			id := user.Submit(attacks(openflow.Parameters{"mode": mode}))
			e.As(t, "9999").WaitFor(id, openflow.JobSuccess)
			contained(t, id, tried...)
		})
	}
	t.Run("fork", func(t *testing.T) {
		id := user.Submit(attacks(openflow.Parameters{"mode": "fork"}))
		// The bomb is told that there is no place for one more; or its own runtime gets no thread, and ends.
		require.Eventually(t, func() bool {
			status := openflow.JobStatus(user.Jobs(id)[0].Status)
			return status == openflow.JobSuccess || status == openflow.JobFailed
		}, env.Patience, 100*time.Millisecond)
		contained(t, id)
	})
	t.Run("memory", func(t *testing.T) {
		id := user.Submit(attacks(openflow.Parameters{"mode": "memory"}))
		e.As(t, "9999").WaitFor(id, openflow.JobFailed)
		contained(t, id)
		require.Contains(t, user.Tasks(id)[0].Reason, "memory")
	})
	t.Run("log", func(t *testing.T) {
		id := user.Submit(attacks(openflow.Parameters{"mode": "log"}))
		e.As(t, "9999").WaitFor(id, openflow.JobSuccess)
		text := log(id)
		require.Less(t, len(text), 6<<20)
		require.Contains(t, text, "first words")
		require.Contains(t, text, "last words")
	})
	user.WaitFor(victim, openflow.JobSuccess)
	contained(t, victim)
	user.WaitFor(user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil))), openflow.JobSuccess)
	requireNothingAsked(t)
}

// A program that describes itself in another way each time is not registered, nor one that takes another's name, or asks for more
// than the policy gives.
func TestImageThatLies(t *testing.T) {
	var dir string
	e := env.New(t, env.Party("9999"), env.Configure(func(c *node.Config) {
		c.Runtime, c.Components, dir = docker.Opener{}, env.Components(t), c.Home
	}))
	t.Cleanup(func() { vacate(t, e, dir) })
	site := &sdk.Client{URL: e.URL("9999")}
	for name, tc := range map[string]struct{ flags, as, want string }{
		"another description each time": {"-X main.lies=yes", "hostile", "in another way when it was asked a second time"},
		"a capability":                  {"-X main.wish=SYS_ADMIN", "hostile", `policy.containers.capabilities: it asks for the capability "SYS_ADMIN"`},
		"another vendor's name":         {"-X main.provider=acme", "hostile", "says that it is of provider acme:1"},
		"the built-in provider's name":  {"-X main.provider=openflow", "", "stands for the built-in provider"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: tc.as, Place: vendor(t, tc.flags)})
			require.ErrorContains(t, err, tc.want)
			list, err := site.Providers(t.Context())
			require.NoError(t, err)
			require.Len(t, list, 1, "the registry is as it was")
		})
	}
	requireNothingAsked(t)
}

// What the policy refuses is refused before anything of it runs: also while it would only describe itself.
func TestPolicyIsAskedBeforeAContainer(t *testing.T) {
	for name, tc := range map[string]struct{ policy, rule string }{
		"from elsewhere":    {"images: {registries: [registry.acme.example, /opt/acme]}\n", "policy.images.registries"},
		"another digest":    {"images: {registries: [], digests: [\"sha256:" + strings.Repeat("0", 64) + "\"]}\n", "policy.images.registries"},
		"nobody has signed": {"images: {require_signature: true}\n", "policy.images.require_signature"},
		"an unsigned one":   {"images: {publishers: [\"spy RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]}\n", "policy.images.publishers"},
	} {
		t.Run(name, func(t *testing.T) {
			e := env.New(t, env.Party("9999"), env.Trust("spy"), env.Policy("9999", tc.policy))
			site := &sdk.Client{URL: e.URL("9999")}
			_, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: "spy", Place: spy(t, e, "9999")})
			require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.rule+": ")
			require.NoFileExists(t, filepath.Join(e.Home("9999"), "spied"), "it was not run")
			found, err := site.CheckComponent(t.Context(), sdk.Registration{Name: "spy", Place: spy(t, e, "9999")})
			require.NoError(t, err)
			require.Contains(t, fmt.Sprint(found), tc.rule)
			require.NoFileExists(t, filepath.Join(e.Home("9999"), "spied"), "nor to be checked")
		})
	}
}
