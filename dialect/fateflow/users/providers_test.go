package users_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/runtime/driver"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/application"
	"openflow/site/registry"
	"openflow/store/catalogue"
	"openflow/store/events/changes"
	"openflow/store/events/memory"
)

// vendor is a machine with an image of acme in each version, with the component psi.
type vendor struct{}

func (vendor) Inspect(_ context.Context, what, _ string) (openflow.ProviderRecord, error) {
	_, version, ok := strings.Cut(what, "/")
	if !ok {
		return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeNotFound, "no image %s", what)
	}
	return openflow.ProviderRecord{Kind: openflow.ProviderImage, Place: what, Digest: "sha256:" + version, Version: version}, nil
}

func (vendor) Fetch(_ context.Context, r openflow.ProviderRecord) (openflow.ProviderRecord, driver.Image, error) {
	return r, driver.Image{ID: r.Digest, Entrypoint: []string{"/run"}}, nil
}

func (vendor) Discard(context.Context, openflow.ProviderRecord) error { return nil }

func (vendor) Ready(_ context.Context, r openflow.ProviderRecord) (string, error) {
	return r.Digest, nil
}

func (vendor) Ask(_ context.Context, r openflow.ProviderRecord, _ int, args ...string) (driver.Answer, error) {
	switch args[0] {
	case "list":
		return driver.Answer{Text: []byte(`{"buildin":["psi"]}`)}, nil
	case "desc":
		_, version, _ := strings.Cut(r.Place, "/")
		return driver.Answer{Text: fmt.Appendf(nil, `{"component":{"name":"psi","provider":"acme","version":"%s"}}`, version)}, nil
	}
	return driver.Answer{ExitCode: 2}, nil
}

// FATE-Flow's routes for providers and ours tell of one registry.
func TestProvidersOfFATE(t *testing.T) {
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "rows.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	told := memory.New(20)
	t.Cleanup(func() { require.NoError(t, told.Close()) })
	api := &application.Site{
		Events: told, Catalogue: rows, Log: slog.New(slog.DiscardHandler), About: func() application.About { return application.About{Party: "9999", Runtime: "docker"} },
		Providers: &registry.Registry{
			Self: "9999", Rows: rows, Device: "docker", Machine: vendor{},
			Speaks: func(d openflow.Dialect) (openflow.Dialect, error) { return d, nil },
			Tell:   changes.Rows{Catalogue: rows, Events: told, Log: slog.New(slog.DiscardHandler)}.TellComponent,
		},
	}
	srv := httptest.NewServer(server.Handler(api.Log, dialect.All{native.Dialect{}, fateflow.Dialect{}}.Application(api)))
	t.Cleanup(srv.Close)
	call := func(method, path, body string, into any) wire.Envelope {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, bytes.NewReader([]byte(body)))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		var e wire.Envelope
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&e))
		if into != nil {
			require.NoError(t, e.Err())
			require.NoError(t, json.Unmarshal(e.Data, into))
		}
		return e
	}
	register := func(name, device, version, metadata string) wire.Envelope {
		return call("POST", "/v2/provider/register", fmt.Sprintf(`{"name":"%s","device":"%s","version":"%s","metadata":%s}`, name, device, version, metadata), nil)
	}
	image := `{"base_url":"unix:///var/run/docker.sock","image":"acme/1"}`
	e := register("acme", "docker", "1", image)
	require.Equal(t, []any{0, "create success"}, []any{e.Code, e.Message})
	e = register("acme", "docker", "1", image)
	require.Equal(t, []any{0, "update success"}, []any{e.Code, e.Message})
	require.Zero(t, register("acme", "docker", "2", `{"image":"acme/2"}`).Code)

	for what, tc := range map[string]struct {
		answer wire.Envelope
		code   int
	}{
		"a device that there is not": {register("acme", "k8s", "3", `{"image":"acme/3","namespace":"x"}`), wire.DeviceNotSupported},
		"the wrong device":           {register("acme", "local", "3", `{"path":"/opt/acme"}`), wire.DeviceNotSupported},
		"no image":                   {register("acme", "docker", "3", `{"base_url":"x"}`), wire.InvalidParameter},
		"of another name":            {register("zeta", "docker", "3", `{"image":"acme/3"}`), wire.InvalidParameter},
		"of another version":         {register("acme", "docker", "4", `{"image":"acme/3"}`), wire.InvalidParameter},
		"an image that is not there": {register("acme", "docker", "3", `{"image":"gone"}`), wire.ServerException},
		"of the InterOp standard":    {call("POST", "/v2/provider/register", `{"name":"acme","device":"docker","version":"3","metadata":{"image":"acme/3"},"protocol":"bfia"}`, nil), wire.InvalidParameter},
		"nothing said":               {call("POST", "/v2/provider/register", `{}`, nil), wire.InvalidParameter},
		"delete what":                {call("POST", "/v2/provider/delete", `{}`, nil), wire.InvalidParameter},
	} {
		require.Equal(t, tc.code, tc.answer.Code, "%s: %s", what, tc.answer.Message)
	}

	e = call("POST", "/v2/provider/register", `{"name":"acme","device":"docker","version":"2","metadata":{"image":"acme/2"},"protocol":"fate"}`, nil)
	require.Zero(t, e.Code, e.Message)

	type row struct {
		ProviderName string            `json:"provider_name"`
		Name         string            `json:"name"`
		Version      string            `json:"version"`
		Device       string            `json:"device"`
		Metadata     map[string]string `json:"metadata"`
		CreateTime   int64             `json:"create_time"`
	}
	query := func(q string) (names []string) {
		var list []row
		call("GET", "/v2/provider/query"+q, "", &list)
		for _, r := range list {
			require.NotZero(t, r.CreateTime)
			require.Equal(t, "acme/"+r.Version, r.Metadata["image"])
			names = append(names, r.ProviderName)
		}
		return names
	}
	require.Empty(t, query(""))
	require.Equal(t, []string{"acme:1@docker", "acme:2@docker"}, query("?name=acme"))
	require.Equal(t, []string{"acme:2@docker"}, query("?version=2&device=docker"))
	require.Equal(t, []string{"acme:1@docker"}, query("?provider_name=acme:1@docker"))
	require.Empty(t, query("?provider_name=acme:1@local"))

	// The same registry by our own routes.
	stream, err := http.Get(srv.URL + "/openflow/v1/user/job/events")
	require.NoError(t, err)
	defer func() { require.NoError(t, stream.Body.Close()) }()
	var made []struct{ Component, Provider, From, To string }
	call("POST", "/openflow/v1/user/component/unload", `{"component":"psi","provider":"acme:2"}`, &made)
	require.Equal(t, "UNLOADED", made[0].To)
	lines, event := bufio.NewScanner(stream.Body), ""
	for event == "" && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			event = data
		}
	}
	var changed wire.EventRow
	require.NoError(t, json.Unmarshal([]byte(event), &changed))
	require.Equal(t, []string{"psi", "acme:2", "UNLOADED", ""}, []string{changed.Component, changed.Provider, changed.Status, changed.JobID})
	var components []struct{ Name, Provider, State, Runtime string }
	call("GET", "/openflow/v1/user/component/list", "", &components)
	require.Equal(t, []struct{ Name, Provider, State, Runtime string }{
		{"psi", "acme:1", "LOADED", "docker"}, {"psi", "acme:2", "UNLOADED", "docker"},
	}, components)
	require.Contains(t, call("POST", "/openflow/v1/user/component/load", `{"component":"psi"}`, nil).Err().Error(), "acme:1, acme:2")
	require.Error(t, call("POST", "/openflow/v1/user/component/load", `{}`, nil).Err())
	call("POST", "/openflow/v1/user/component/load", `{"provider":"acme:2"}`, &made)
	require.Equal(t, "LOADED", made[0].To)
	var found []struct{ Name, Status string }
	call("POST", "/openflow/v1/user/component/check", `{"place":"acme/7"}`, &found)
	require.Greater(t, len(found), 4)
	var providers []struct {
		Version, Kind string
		Components    []struct{ Name, State string }
	}
	call("GET", "/openflow/v1/user/provider/list", "", &providers)
	require.Len(t, providers, 2)
	require.Equal(t, "LOADED", providers[1].Components[0].State)
	audit, _, err := rows.Audit(t.Context(), catalogue.AuditFilter{})
	require.NoError(t, err)
	said := map[string]int{}
	for _, a := range audit {
		said[a.Action]++
	}
	require.Equal(t, map[string]int{"provider/register": 4, "component/unload": 1, "component/load": 1}, said)

	// Of several that fit, all go or none.
	job := openflow.JobRecord{ID: "1", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, Scheduler: "9999", Status: openflow.JobRunning, DAG: &openflow.DAG{}}
	require.NoError(t, rows.CreateJob(t.Context(), job, []openflow.TaskRecord{{
		Key:       openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "psi_0", Party: job.Party},
		Component: "psi", Provider: "acme:2@docker", Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting,
	}}))
	require.NotZero(t, call("POST", "/v2/provider/delete", `{"name":"acme"}`, nil).Code)
	require.Equal(t, []string{"acme:1@docker", "acme:2@docker"}, query("?name=acme"))

	var gone bool
	call("POST", "/v2/provider/delete", `{"name":"acme","version":"1"}`, &gone)
	require.True(t, gone)
	call("POST", "/v2/provider/delete", `{"provider_name":"acme:9"}`, &gone)
	require.False(t, gone)
	require.Equal(t, []string{"acme:2@docker"}, query("?name=acme"))
}
