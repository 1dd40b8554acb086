package node

import (
	"cmp"
	"context"
	"net"
	"net/url"
	"path"
	"strings"

	"openflow"
	"openflow/server/base"
	"openflow/server/reply"
	"openflow/store/catalogue"
	"openflow/store/encrypted"
	"openflow/store/events"
	"openflow/store/events/memory"
	eventsredis "openflow/store/events/redis"
	"openflow/store/messages"
	messagesredis "openflow/store/messages/redis"
	"openflow/store/messages/sessions"
	"openflow/store/messages/sqlite"
	"openflow/store/objects"
	"openflow/store/objects/folder"
	"openflow/store/objects/s3"
	"openflow/store/redisdb"
)

// Shared names services that replace embedded parts of a node, so that several servers, its replicas, can be one node.
// What is empty is embedded.
type Shared struct {
	Temporal Temporal
	Postgres string // URL of the catalogue's database
	Redis    string // URL of the server that keeps messages and nonces, and tells events
	S3       string // URL of the bucket for objects
	Secrets  string // folder of the node's key, the credentials' secret and the tokens; empty: the home
}

// Stores opens stores that are neither in the home nor in a service of Shared, instead of those that would be. Replicas
// open the same ones. Where a function is nil, the node opens its own.
type Stores struct {
	// Objects opens the store of that name: "objects" has tables, models and logs.
	Objects  func(ctx context.Context, name string) (objects.Store, error)
	Messages func(ctx context.Context, o messages.Options) (messages.Store, error)
	Events   func(ctx context.Context) (events.Store, error)
}

// warnings says what an operator should know of a node of which only some parts are shared.
func (c Config) warnings() []string {
	parts := []struct {
		what   string
		shared bool
	}{
		{"workflows", c.Shared.Temporal.Address != ""},
		{"the catalogue", c.Shared.Postgres != ""},
		{"messages", c.Shared.Redis != "" || c.Stores.Messages != nil},
		{"objects", c.sharesObjects()},
	}
	var own []string
	for _, p := range parts {
		if !p.shared {
			own = append(own, p.what)
		}
	}
	if len(own) == 0 || len(own) == len(parts) {
		return nil
	}
	last := len(own) - 1
	if last > 0 {
		own[last] = "and " + own[last]
	}
	return []string{"only one server of this party may run: its home folder holds " + strings.Join(own, ", ")}
}

// sharesObjects tells that objects are not in the home.
func (c Config) sharesObjects() bool { return c.Shared.S3 != "" || c.Stores.Objects != nil }

// plain are the services on other machines that are called without TLS, which somebody has asked for by name, as the doctor tells
// them: without what opens them.
func (s Shared) plain() (list []string) {
	for _, text := range []string{s.Postgres, s.Redis, s.S3} {
		if u, err := url.Parse(text); err == nil && encrypted.Plain(text) {
			list = append(list, u.Scheme+"://"+u.Host)
		}
	}
	t := s.Temporal
	host, _, err := net.SplitHostPort(t.Address)
	if err == nil && !openflow.ThisMachine(host) && !t.TLS && t.CA == "" && t.Certificate == "" {
		list = append(list, "Temporal at "+t.Address)
	}
	return list
}

// secretsDir is where the node's key, the credentials' secret and the tokens are.
func (n *Node) secretsDir() string {
	if n.config.Shared.Secrets != "" {
		return n.config.Shared.Secrets
	}
	return n.home.Dir
}

func (n *Node) openStores(ctx context.Context) error {
	n.warnings = append(n.warnings, n.config.warnings()...)
	for _, open := range []func(context.Context) error{n.openCatalogue, n.openObjects, n.openMessages, n.openEvents} {
		if err := open(ctx); err != nil {
			return err
		}
	}
	n.apps.Rows, n.apps.Nonces = n.rows, n.messages
	for _, dir := range []string{"uploads", "downloads"} {
		if _, err := n.home.Folder(dir); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openCatalogue(ctx context.Context) (err error) {
	o := catalogue.Options{URL: n.config.Shared.Postgres, Rows: n.config.Bounds.Rows, Objects: n.config.Bounds.Objects}
	o.Objects.Run = min(cmp.Or(o.Objects.Run, catalogue.DefaultObjects.Run), int64(n.policy.Containers.MaxStored))
	if o.URL == "" {
		o.File, o.Synchronous = n.home.Path("catalogue.db"), n.config.synchronous()
	}
	if n.rows, err = catalogue.Open(ctx, o); err != nil {
		return err
	}
	n.onClose("catalogue", func(context.Context) error { return n.rows.Close() })
	return nil
}

func (n *Node) openObjects(ctx context.Context) (err error) {
	n.objects, err = n.objectStore(ctx, "objects")
	return err
}

// objectStore opens a store of that name: a folder of the home, or a path of this party in the bucket.
func (n *Node) objectStore(ctx context.Context, name string) (objects.Store, error) {
	if open := n.config.Stores.Objects; open != nil {
		return open(ctx, name)
	}
	if n.config.Shared.S3 == "" {
		return folder.Open(n.home.Path(name))
	}
	o, err := s3.ParseURL(n.config.Shared.S3)
	if err != nil {
		return nil, err
	}
	o.Prefix = path.Join(o.Prefix, string(n.config.Party), name)
	if o.Spool, err = n.home.Folder("spool"); err != nil {
		return nil, err
	}
	return s3.Open(ctx, o)
}

func (n *Node) openMessages(ctx context.Context) error {
	n.sessions = &sessions.Sessions{Self: n.config.Party, Tasks: n.rows, Between: base.ParseTopic}
	o := n.config.Bounds.Messages
	o.Live, o.Job, o.Room = n.sessions.Live, sessions.Job, reply.Reads
	store, err := n.messageStore(ctx, o)
	if err != nil {
		return err
	}
	n.messages = store
	n.onClose("messages", func(context.Context) error { return store.Close() })
	return nil
}

func (n *Node) messageStore(ctx context.Context, o messages.Options) (messages.Store, error) {
	if open := n.config.Stores.Messages; open != nil {
		return open(ctx, o)
	}
	if url := n.config.Shared.Redis; url != "" {
		bodies, err := n.objectStore(ctx, "message-bodies")
		if err != nil {
			return nil, err
		}
		return messagesredis.Open(ctx, messagesredis.Options{
			Options: o, URL: url, Prefix: redisdb.DefaultPrefix(n.config.Party), Bodies: bodies,
		})
	}
	dir, err := n.home.Folder("messages")
	if err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, dir, sqlite.Options{Options: o, Durable: n.config.Durability == DurablePower})
}

// openEvents opens the store of events. Here it is closed for a start that fails; a node that runs closes it before its
// servers, see serve.
func (n *Node) openEvents(ctx context.Context) error {
	store, err := n.eventStore(ctx)
	if err != nil {
		return err
	}
	n.events = store
	n.onClose("events", n.closeEvents)
	return nil
}

func (n *Node) eventStore(ctx context.Context) (events.Store, error) {
	if open := n.config.Stores.Events; open != nil {
		return open(ctx)
	}
	if url := n.config.Shared.Redis; url != "" {
		return eventsredis.Open(ctx, eventsredis.Options{
			URL: url, Prefix: redisdb.DefaultPrefix(n.config.Party), Keep: events.Keep,
		})
	}
	return memory.New(events.Keep), nil
}

// closeEvents may be called twice.
func (n *Node) closeEvents(context.Context) error { return n.events.Close() }
