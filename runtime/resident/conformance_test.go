package resident_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/resident"
	"openflow/runtime/runtimetest"
	"openflow/runtime/runtimetest/payload"
	"openflow/sdk/httpclient"
)

// said is the variable that tells a run of the suite its arguments: a resident container is told of variables alone.
const said = "PAYLOAD="

// payloads runs the suite's program in resident containers, and in others.
func payloads(s driver.Spec) fake.Plan {
	return fake.Plan{Run: func(ctx context.Context, s driver.Spec, stdout, stderr io.Writer) int {
		var args, env []string
		for _, entry := range s.Env {
			if text, ok := strings.CutPrefix(entry, said); ok {
				if err := json.Unmarshal([]byte(text), &args); err != nil {
					return 99
				}
				continue
			}
			env = append(env, entry)
		}
		if s.Image != "payload" {
			return 127
		}
		return payload.Run(ctx, args, env, stdout, stderr)
	}}
}

// sharing has every run of the suite share a container.
type sharing struct{ driver.Runtime }

func (r sharing) Ensure(ctx context.Context, s driver.Spec) (driver.Status, error) {
	args, err := json.Marshal(s.Command)
	if err != nil {
		return driver.Status{}, err
	}
	s.Command, s.Env = []string{"run"}, append([]string{said + string(args)}, s.Env...)
	of := residency("payload")
	of.Group, of.Image, of.Runs, of.Most = "of "+s.Image, s.Image, 64, 2
	if s.Image == "" { // the suite wants a refusal
		of.Image = "payload"
	}
	s.Resident = &of
	return r.Runtime.Ensure(ctx, s)
}

func TestConformance(t *testing.T) {
	f := fake.New(payloads)
	folder := t.TempDir()
	runtimetest.Run(t, runtimetest.Harness{
		Open: func(t *testing.T) driver.Runtime {
			return sharing{open(t, fake.Opener{Containers: f}, resident.Options{Folder: folder})}
		},
		Image: "payload",
	})
}

// A run that may not share a container passes through.
func TestConformanceOfOthers(t *testing.T) {
	f := fake.New(func(s driver.Spec) fake.Plan {
		return fake.Plan{Run: func(ctx context.Context, s driver.Spec, stdout, stderr io.Writer) int {
			if s.Image != "payload" {
				return 127
			}
			return payload.Run(ctx, s.Command, s.Env, stdout, stderr)
		}}
	})
	folder := t.TempDir()
	runtimetest.Run(t, runtimetest.Harness{
		Open: func(t *testing.T) driver.Runtime {
			return open(t, fake.Opener{Containers: f}, resident.Options{Folder: folder})
		},
		Image: "payload",
	})
}

// quick are times for tests.
func quick() resident.Times {
	return resident.Times{
		Look: 20 * time.Millisecond, Live: 20 * time.Millisecond, Ready: 20 * time.Second, Obey: 5 * time.Second, Trust: 300 * time.Millisecond, Rest: time.Minute,
	}
}

// residency is of a component that one container serves, eight runs at once.
func residency(component string) driver.Residency {
	return driver.Residency{
		Group: component + " 1", Component: component, Provider: openflow.ProviderRef{Name: "acme", Version: "1.0"}, Image: "image-of-" + component,
		Runs: 8, Most: 1, Idle: time.Hour,
	}
}

// calls are those of a node.
func calls(meet func(context.Context, net.Conn) error) *http.Client {
	return httpclient.New(httpclient.Options{Meet: meet})
}

// open opens a host that looks after its containers.
func open(t *testing.T, o fake.Opener, with resident.Options) *resident.Host {
	t.Helper()
	h := unconfined(t, o, with)
	_, err := h.Confine(t.Context(), 1)
	require.NoError(t, err)
	return h
}

func unconfined(t *testing.T, o fake.Opener, with resident.Options) *resident.Host {
	t.Helper()
	opened, err := o.Open(t.Context(), driver.Options{Node: "node"})
	require.NoError(t, err)
	if with.Folder == "" {
		with.Folder = t.TempDir()
	}
	with.Node, with.Log, with.HTTP = "node", slog.New(slog.DiscardHandler), calls
	if with.Times == (resident.Times{}) {
		with.Times = quick()
	}
	h, err := resident.Over(opened, with)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}
