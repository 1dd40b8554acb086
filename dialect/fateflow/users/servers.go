package users

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/server/reply"
	"openflow/store/catalogue"
)

// The registry of servers is a list that users keep. This node calls none of them: what somebody registers leads it nowhere.

// serverRow is a registered server as the routes show it.
//
// Spec: fate-flow-api §1.9 #45.
type serverRow struct {
	CreateTime int64  `json:"create_time"`
	UpdateTime int64  `json:"update_time"`
	ServerName string `json:"server_name"`
	Host       string `json:"host"`
	Port       int    `json:"port"`
	Protocol   string `json:"protocol"`
}

// serverEntry is a server without its times.
//
// Spec: fate-flow-api §1.9 #46.
type serverEntry struct {
	ServerName string `json:"server_name"`
	Host       string `json:"host"`
	Port       int    `json:"port"`
	Protocol   string `json:"protocol"`
}

// instance is what this node calls itself among the replicas of an institution: all of them have the same logs and rows.
func (a *api) instance() string { return "flow-" + string(a.About().Party) }

// serverInfo is what the FATE client asks for to see that the server is there.
//
// Spec: fate-flow-api §1.9 #43.
func (a *api) serverInfo(*http.Request) (any, error) {
	about, id := a.About(), a.instance()
	return map[string]any{id: map[string]any{
		"instance_id": id, "timestamp": about.Started.UnixMilli(), "version": about.Version, "host": about.Host,
		"grpc_port": 0, "http_port": about.Port,
	}}, nil
}

// queryServers shows this node and all registered servers. Nothing else of its configuration is told (part 7 #15).
//
// Spec: fate-flow-api §1.9 #44.
func (a *api) queryServers(r *http.Request) (any, error) {
	list, err := a.Catalogue.Servers(r.Context())
	if err != nil {
		return nil, err
	}
	about := a.About()
	all := map[string]any{"FATEFLOW": map[string]any{"host": about.Host, "http_port": about.Port, "grpc_port": 0}}
	for _, s := range list {
		all[s.Name] = serverEntry{s.Name, s.Host, s.Port, s.Protocol}
	}
	return all, nil
}

// registered reads a name of the registry, which knows no case.
func registered(key, said string) (string, error) {
	return strings.ToUpper(said), openflow.CheckIdentifier(key, said)
}

// noServer is that nothing of that name is registered.
func noServer(err error, format string, args ...any) error {
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	return envelope.Numbered{Code: envelope.NoServer, Err: openflow.Errorf(openflow.CodeNotFound, "No found server: "+format, args...)}
}

// queryServer shows one registered server.
//
// Spec: fate-flow-api §1.9 #45.
func (a *api) queryServer(r *http.Request) (any, error) {
	v, err := reply.Required(r, "server_name")
	if err != nil {
		return nil, err
	}
	s, err := a.Catalogue.Server(r.Context(), strings.ToUpper(v[0]))
	if err != nil {
		return nil, noServer(err, "server_name[%s]", v[0])
	}
	return serverRow{s.CreateTime, s.UpdateTime, s.Name, s.Host, s.Port, s.Protocol}, nil
}

// protocols are those of which an address is made.
var protocols = []string{"http", "https", "grpc", "grpcs"}

// registerServer registers a server, or replaces it.
//
// Spec: fate-flow-api §1.9 #46.
func (a *api) registerServer(r *http.Request) (any, error) {
	var b struct {
		Name     wire.Text       `json:"server_name" check:"required"`
		Host     wire.Text       `json:"host" check:"required"`
		Port     json.RawMessage `json:"port" check:"required"`
		Protocol string          `json:"protocol"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	name, err := registered("server_name", string(b.Name))
	if err != nil {
		return nil, err
	}
	if name == "FATEFLOW" {
		return nil, openflow.Errorf(openflow.CodeConflict, "server_name[FATEFLOW] is this node itself")
	}
	if net.ParseIP(string(b.Host)) == nil {
		if err := openflow.CheckIdentifier("host", string(b.Host)); err != nil {
			return nil, err
		}
	}
	port, err := strconv.Atoi(strings.Trim(string(b.Port), `"`))
	if err != nil || port < 1 || port > 65535 {
		return nil, wire.WrongNumber("port", string(b.Port))
	}
	if b.Protocol == "" {
		b.Protocol = "http"
	}
	if !slices.Contains(protocols, b.Protocol) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "protocol: %q is none of %s", openflow.Heard(b.Protocol), strings.Join(protocols, ", "))
	}
	if err := a.Catalogue.SaveServer(r.Context(), catalogue.Server{Name: name, Host: string(b.Host), Port: port, Protocol: b.Protocol}); err != nil {
		return nil, err
	}
	return serverEntry{name, string(b.Host), port, b.Protocol}, a.Audit(r, "server", name)
}

// removal is an answer that says in its message whether there was anything to delete.
func deletion(was bool) envelope.Done {
	if was {
		return envelope.Done{Message: "success"}
	}
	return envelope.Done{Message: "failed"}
}

// deleteServer forgets a server and its services.
//
// Spec: fate-flow-api §1.9 #47: code 0 either way, the message tells.
func (a *api) deleteServer(r *http.Request) (any, error) {
	var b struct {
		Name wire.Text `json:"server_name" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	name, err := registered("server_name", string(b.Name))
	if err != nil {
		return nil, err
	}
	was, err := a.Catalogue.DeleteServer(r.Context(), name)
	if err == nil && was {
		err = a.Audit(r, "server", name)
	}
	return deletion(was), err
}

// serviceRow is a registered service as the routes show it.
//
// Spec: fate-flow-api §1.9 #48.
type serviceRow struct {
	CreateTime  int64           `json:"create_time"`
	UpdateTime  int64           `json:"update_time"`
	ServerName  string          `json:"server_name"`
	ServiceName string          `json:"service_name"`
	URL         string          `json:"url"`
	Method      string          `json:"method"`
	Params      json.RawMessage `json:"params"`
	Data        json.RawMessage `json:"data"`
	Headers     json.RawMessage `json:"headers"`
}

// queryService shows one registered service.
//
// Spec: fate-flow-api §1.9 #48.
func (a *api) queryService(r *http.Request) (any, error) {
	v, err := reply.Required(r, "server_name", "service_name")
	if err != nil {
		return nil, err
	}
	s, err := a.Catalogue.Service(r.Context(), strings.ToUpper(v[0]), strings.ToUpper(v[1]))
	if err != nil {
		return nil, noServer(err, "server_name[%s],service_name[%s]", v[0], v[1])
	}
	return serviceRow{
		s.CreateTime, s.UpdateTime, s.Server, s.Name, s.URL, s.Method, json.RawMessage(s.Params), json.RawMessage(s.Data), json.RawMessage(s.Headers),
	}, nil
}

// maxURI and maxMethod are how many bytes these may have.
const (
	maxURI    = 2 << 10
	maxMethod = 16
)

// serviceNames begin a body that means a service.
type serviceNames struct {
	Server wire.Text `json:"server_name" check:"required"`
	Name   wire.Text `json:"service_name" check:"required"`
}

// registered are the names as the registry keeps them.
func (n serviceNames) registered() (server, service string, err error) {
	if server, err = registered("server_name", string(n.Server)); err != nil {
		return "", "", err
	}
	service, err = registered("service_name", string(n.Name))
	return server, service, err
}

// registerService registers what a server serves.
//
// Spec: fate-flow-api §1.9 #49.
func (a *api) registerService(r *http.Request) (any, error) {
	var b struct {
		serviceNames
		URI      wire.Text                  `json:"uri" check:"required"`
		Method   string                     `json:"method"`
		Params   map[string]json.RawMessage `json:"params"`
		Data     map[string]json.RawMessage `json:"data"`
		Headers  map[string]json.RawMessage `json:"headers"`
		Protocol string                     `json:"protocol"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	server, service, err := b.registered()
	if err != nil {
		return nil, err
	}
	uri, err := url.Parse(string(b.URI))
	if err != nil || uri.IsAbs() || uri.Host != "" || !strings.HasPrefix(uri.Path, "/") || len(b.URI) > maxURI {
		return nil, openflow.Errorf(openflow.CodeInvalid, "uri: %q is no path of at most %d bytes that begins with a slash", openflow.Heard(string(b.URI)), maxURI)
	}
	if b.Method == "" {
		b.Method = http.MethodPost
	}
	if len(b.Method) > maxMethod || openflow.CheckIdentifier("method", b.Method) != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "method: %q is no method of HTTP", openflow.Heard(b.Method))
	}
	if b.Protocol != "" && !slices.Contains(protocols, b.Protocol) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "protocol: %q is none of %s", openflow.Heard(b.Protocol), strings.Join(protocols, ", "))
	}
	s := catalogue.Service{Server: server, Name: service, Method: b.Method}
	for into, from := range map[*string]map[string]json.RawMessage{&s.Params: b.Params, &s.Data: b.Data, &s.Headers: b.Headers} {
		if *into, err = object(from); err != nil {
			return nil, err
		}
	}
	err = a.Catalogue.SaveService(r.Context(), s, func(of catalogue.Server) string {
		protocol := of.Protocol
		if b.Protocol != "" {
			protocol = b.Protocol
		}
		return fmt.Sprintf("%s://%s%s", protocol, net.JoinHostPort(of.Host, strconv.Itoa(of.Port)), b.URI)
	})
	if err != nil {
		return nil, noServer(err, "server_name[%s]", b.Server)
	}
	return nil, a.Audit(r, "server", server+" "+service)
}

// object writes the fields of a service as JSON; null where there are none.
func object(fields map[string]json.RawMessage) (string, error) {
	if fields == nil {
		return "null", nil
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInternal, "a service cannot be written: %w", err)
	}
	if len(text) > maxNotes {
		return "", openflow.Errorf(openflow.CodeInvalid, "params, data and headers of a service have at most %d bytes each", maxNotes)
	}
	return string(text), nil
}

// deleteService forgets a service.
//
// Spec: fate-flow-api §1.9 #50: code 0 either way, the message tells.
func (a *api) deleteService(r *http.Request) (any, error) {
	var b serviceNames
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	server, service, err := b.registered()
	if err != nil {
		return nil, err
	}
	was, err := a.Catalogue.DeleteService(r.Context(), server, service)
	if err == nil && was {
		err = a.Audit(r, "server", server+" "+service)
	}
	return deletion(was), err
}
