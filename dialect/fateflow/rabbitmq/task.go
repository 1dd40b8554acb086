// Package rabbitmq holds what FATE's components ask of a RabbitMQ broker to their own task.
//
// A component makes a user, virtual hosts and queues by the broker's management, and talks with the queues as that user. All of
// them are named after its session, so what is of another task is told apart by its name. The component never gets the account
// that may do so: the node asks in its place, in words of its own. Start reading at [Task.Manage] and [Task.Login].
package rabbitmq

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"openflow"
)

// Placeholder is what a component takes for the account of the broker's management.
const Placeholder = "openflow"

// Task is one party's part in a task, as its components call things at the broker.
type Task struct {
	Session string // FATE's federation_id, which is the user's name and password too
	Own     openflow.Party
	Parties []openflow.Party // all that take part
	Broker  openflow.Broker
}

// side names a party as virtual hosts and queues do.
func side(p openflow.Party) string { return string(p.Role) + "-" + string(p.ID) }

// peer is the party that a virtual host is shared with. FATE names the lesser of the two first.
func (t Task) peer(vhost string) (openflow.Party, bool) {
	for _, p := range t.Parties {
		low, high := t.Own, p
		if p.Role < low.Role || p.Role == low.Role && p.ID < low.ID {
			low, high = high, low
		}
		if p != t.Own && vhost == t.Session+"-"+side(low)+"-"+side(high) {
			return p, true
		}
	}
	return openflow.Party{}, false
}

// longestName bounds the name of a queue, as the broker does.
const longestName = 255

// queue tells whether a name is one that the components of this task give to a queue.
func (t Task) queue(name string) bool {
	for _, begin := range []string{"send-", "receive-", ""} {
		if strings.HasPrefix(name, begin+t.Session+"-") && len(name) <= longestName && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return true
		}
	}
	return false
}

// Asked is a request to the broker's management, in the words of this node.
type Asked struct {
	Method string
	Path   string // below the management's address, escaped
	Body   []byte // JSON; nil: none
}

// kind is what a path of the management is about: its words, with V for a virtual host of the task, Q for a queue, U for its user.
type kind struct{ method, form string }

// allowed are the requests that FATE's components make, with the body that goes to the broker. What a component sends as a body
// is not read: it could ask for more.
var allowed = map[kind]func(t Task, in names) (any, error){
	{http.MethodPut, "users/U"}:                               user,
	{http.MethodDelete, "users/U"}:                            nothing,
	{http.MethodPut, "vhosts/V"}:                              nothing,
	{http.MethodDelete, "vhosts/V"}:                           nothing,
	{http.MethodPut, "permissions/V/U"}:                       permission,
	{http.MethodDelete, "permissions/V/U"}:                    nothing,
	{http.MethodPut, "permissions/V/P"}:                       permission,
	{http.MethodGet, "queues/V"}:                              nothing,
	{http.MethodGet, "queues/V/Q"}:                            nothing,
	{http.MethodPut, "queues/V/Q"}:                            queue,
	{http.MethodDelete, "queues/V/Q"}:                         nothing,
	{http.MethodGet, "exchanges/V"}:                           nothing,
	{http.MethodGet, "policies/V"}:                            nothing,
	{http.MethodPut, "policies/V/Q"}:                          follow,
	{http.MethodDelete, "policies/V/Q"}:                       nothing,
	{http.MethodPut, "parameters/federation-upstream/V/Q"}:    upstream,
	{http.MethodDelete, "parameters/federation-upstream/V/Q"}: nothing,
}

// names are those of a path.
type names struct {
	queue string
	peer  openflow.Party
}

func nothing(Task, names) (any, error) { return nil, nil }

func user(t Task, _ names) (any, error) {
	return map[string]string{"password": t.Session, "tags": ""}, nil
}

func permission(Task, names) (any, error) {
	return map[string]string{"configure": ".*", "write": ".*", "read": ".*"}, nil
}

func queue(Task, names) (any, error) {
	return map[string]any{"auto_delete": false, "durable": true, "arguments": map[string]any{}}, nil
}

// follow has a queue take what its upstream sends.
func follow(_ Task, in names) (any, error) {
	return map[string]any{
		"pattern": "^" + regexp.QuoteMeta(in.queue) + "$", "apply-to": "queues", "definition": map[string]string{"federation-upstream": in.queue},
	}, nil
}

// upstream is the broker of the other party, where the policy of this site says that it is. A component names one too; it is not heard.
func upstream(t Task, in names) (any, error) {
	address := t.Broker.Use.Partners[in.peer.ID]
	if address == "" {
		return nil, openflow.Errorf(openflow.CodePermission, "the policy of this site names no broker of party %s", in.peer.ID).
			WithHint("add it to engines.partners; see docs/fate-federation.md")
	}
	from := url.URL{Scheme: "amqp", User: url.UserPassword(t.Session, t.Session), Host: address}
	return map[string]any{"value": map[string]string{"uri": from.String(), "queue": strings.Replace(in.queue, "receive", "send", 1)}}, nil
}

// Manage is what the broker's management is asked where a component asks for method and path, as in "/api/vhosts/…". It is pure.
// Errors: CodePermission (no component of this task needs that, or it is another task's), CodeInvalid (it is no path).
func (t Task) Manage(method, path string) (Asked, error) {
	rest, ok := strings.CutPrefix(path, "/api/")
	if !ok || len(path) > 4<<10 {
		return Asked{}, openflow.Errorf(openflow.CodeInvalid, "%q is no path of the broker's management", openflow.Cut(path, 200))
	}
	words := strings.Split(rest, "/")
	var in names
	form := make([]string, len(words))
	for i, w := range words {
		form[i] = w
		switch peer, vhost := t.peer(w); {
		case i == 0 || i == 1 && words[0] == "parameters":
		case vhost:
			form[i], in.peer = "V", peer
		case words[0] == "users" && w == t.Session, words[0] == "permissions" && i == 2 && w == t.Session:
			form[i] = "U"
		case words[0] == "permissions" && i == 2 && w == Placeholder:
			form[i], words[i] = "P", t.Broker.User
		case i == len(words)-1 && t.queue(w):
			form[i], in.queue = "Q", w
		default:
			return Asked{}, t.strange(method, path)
		}
	}
	body, ok := allowed[kind{method, strings.Join(form, "/")}]
	if !ok {
		return Asked{}, t.strange(method, path)
	}
	says, err := body(t, in)
	if err != nil {
		return Asked{}, err
	}
	for i, w := range words {
		words[i] = url.PathEscape(w)
	}
	a := Asked{Method: method, Path: "/api/" + strings.Join(words, "/")}
	if says != nil {
		if a.Body, err = json.Marshal(says); err != nil {
			return Asked{}, openflow.Errorf(openflow.CodeInternal, "a request to the broker cannot be written: %w", err)
		}
	}
	return a, nil
}

func (t Task) strange(method, path string) error {
	return openflow.Errorf(openflow.CodePermission, "%s %s is not for session %s at the broker", openflow.Cut(method, 20), openflow.Cut(path, 200), t.Session)
}

// Login says whether a component may open a virtual host as that user. It is pure. Errors: CodePermission.
func (t Task) Login(user, vhost string) error {
	if _, own := t.peer(vhost); user != t.Session || !own {
		return openflow.Errorf(openflow.CodePermission, "user %q and virtual host %q are not for session %s at the broker", openflow.Cut(user, 80), openflow.Cut(vhost, 200), t.Session)
	}
	return nil
}
