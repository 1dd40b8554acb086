package catalogue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"openflow"
)

// Server is a server of an institution that users have registered by name.
//
// Spec: fate-flow-api §1.9.
type Server struct {
	Name       string `db:"name"`
	Host       string `db:"host"`
	Port       int    `db:"port"`
	Protocol   string `db:"protocol"`
	CreateTime int64  `db:"create_time" fieldtag:"first"` // milliseconds, as all times here
	UpdateTime int64  `db:"update_time"`
}

// Service is what a registered server serves at one address.
type Service struct {
	Server     string `db:"server"`
	Name       string `db:"name"`
	URL        string `db:"url"`
	Method     string `db:"method"`
	Params     string `db:"params"` // JSON, as data and headers
	Data       string `db:"data"`
	Headers    string `db:"headers"`
	CreateTime int64  `db:"create_time" fieldtag:"first"`
	UpdateTime int64  `db:"update_time"`
}

// How many servers are kept, and how many services of each.
const (
	MaxServers  = 200
	MaxServices = 200
)

var (
	serverColumns  = columnsOf[Server]()
	saveServer     = serverColumns.save("server", "name")
	readServer     = `select ` + serverColumns.names + ` from server where name = $1`
	serviceColumns = columnsOf[Service]()
	saveService    = serviceColumns.save("server_service", "server", "name")
	readService    = `select ` + serviceColumns.names + ` from server_service where server = $1 and name = $2`
)

const (
	countServers   = `select count(*) from server where name <> $1`
	countServices  = `select count(*) from server_service where server = $1 and name <> $2`
	deleteServer   = `delete from server where name = $1`
	deleteServices = `delete from server_service where server = $1`
	deleteService  = `delete from server_service where server = $1 and name = $2`
)

// SaveServer registers a server, or replaces what is registered under its name. CodeSpent: there are as many as are kept.
func (c *Catalogue) SaveServer(ctx context.Context, s Server) error {
	s.CreateTime, s.UpdateTime = c.stamp(), c.stamp()
	err := c.write(ctx, func(t *tx) error {
		if err := t.fewer(ctx, MaxServers, "servers", countServers, s.Name); err != nil {
			return err
		}
		_, err := t.exec(ctx, saveServer, serverColumns.values(s)...)
		return err
	})
	return classify("register server "+s.Name, err)
}

// fewer refuses one more where as many are kept as there may be. CodeSpent.
func (t *tx) fewer(ctx context.Context, most int, what, query string, args ...any) error {
	var n int
	if err := t.one(ctx, query, args...).Scan(&n); err != nil {
		return err
	}
	if n >= most {
		return openflow.Errorf(openflow.CodeSpent, "this node keeps %d %s at most", most, what).WithHint("delete some first")
	}
	return nil
}

// Server returns a registered server. CodeNotFound.
func (c *Catalogue) Server(ctx context.Context, name string) (Server, error) {
	s, err := serverColumns.scan(c.one(ctx, readServer, name))
	if errors.Is(err, sql.ErrNoRows) {
		return s, notFound("no server %s is registered here", name)
	}
	return s, classify("read server "+name, err)
}

// Servers lists them by name.
func (c *Catalogue) Servers(ctx context.Context) ([]Server, error) {
	var list []Server
	err := c.each(ctx, `select `+serverColumns.names+` from server order by name`, nil, func(r row) error {
		s, err := serverColumns.scan(r)
		list = append(list, s)
		return err
	})
	return list, classify("list servers", err)
}

// DeleteServer forgets a server and its services, and tells whether there was one.
func (c *Catalogue) DeleteServer(ctx context.Context, name string) (bool, error) {
	var n int64
	err := c.write(ctx, func(t *tx) (err error) {
		if _, err = t.exec(ctx, deleteServices, name); err == nil {
			n, err = t.exec(ctx, deleteServer, name)
		}
		return err
	})
	return n > 0, classify("delete server "+name, err)
}

// SaveService registers what a server serves; its address is made from that of the server, which url gets. CodeNotFound: the server
// is not registered. CodeSpent: there are as many as are kept.
func (c *Catalogue) SaveService(ctx context.Context, s Service, url func(Server) string) error {
	for _, text := range []string{s.Params, s.Data, s.Headers} {
		if err := checkRaw("service "+s.Name, json.RawMessage(text)); err != nil {
			return err
		}
	}
	s.CreateTime, s.UpdateTime = c.stamp(), c.stamp()
	err := c.write(ctx, func(t *tx) error {
		of, err := serverColumns.scan(t.one(ctx, readServer, s.Server))
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("no server %s is registered here", s.Server)
		}
		if err != nil {
			return err
		}
		if err := t.fewer(ctx, MaxServices, "services of a server", countServices, s.Server, s.Name); err != nil {
			return err
		}
		s.URL = url(of)
		_, err = t.exec(ctx, saveService, serviceColumns.values(s)...)
		return err
	})
	return classify("register service "+s.Name, err)
}

// Service returns a registered service. CodeNotFound.
func (c *Catalogue) Service(ctx context.Context, server, name string) (Service, error) {
	s, err := serviceColumns.scan(c.one(ctx, readService, server, name))
	if errors.Is(err, sql.ErrNoRows) {
		return s, notFound("no service %s of server %s is registered here", name, server)
	}
	return s, classify("read service "+name, err)
}

// DeleteService forgets a service, and tells whether there was one.
func (c *Catalogue) DeleteService(ctx context.Context, server, name string) (bool, error) {
	n, err := c.exec(ctx, deleteService, server, name)
	return n > 0, classify("delete service "+name, err)
}
