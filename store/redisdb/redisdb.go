// Package redisdb connects to a Redis server: what a URL means, what a server must be to be trusted with messages, and
// its errors in our terms.
//
// store/messages/redis and store/events/redis build on it; neither knows how a connection is made. Start reading at [Open].
//
// Spec: redis §2, §3.
package redisdb

import (
	"bufio"
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"openflow"
	"openflow/store/encrypted"
)

// minVersion is the first server that lets a script say what it may do when memory is short (Redis 7, Valkey).
const minVersion = 7

// replyTimeout is how long a server may take to answer; the largest values take seconds.
const replyTimeout = 10 * time.Second

// DefaultPrefix is what the keys of a party's node begin with when the site names nothing else.
func DefaultPrefix(party openflow.PartyID) string { return "openflow:" + string(party) + ":" }

// Open connects to the server that rawURL names (redis://user:password@host:6379/0, rediss:// for TLS,
// unix:///path?db=0) and looks at it once. The caller closes the client. With rediss://, ca=FILE says whom to believe instead of
// those whom this machine believes, and cert=FILE&cert_key=FILE what to show.
//
// Commands are never sent a second time by themselves: whether a repeat is harmless is known to the caller only.
//
// Errors, none of which shows the password: CodeInvalid (a URL that is none, a server that is too old or may throw keys
// away), CodePermission (user or password are refused), CodeUnavailable (no answer).
func Open(ctx context.Context, rawURL string) (*redis.Client, error) {
	o, files, err := options(rawURL)
	if err != nil {
		return nil, err
	}
	if o.TLSConfig != nil {
		if o.TLSConfig, err = files.Config(o.TLSConfig.ServerName); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "Redis at %s: %w", o.Addr, err)
		}
	}
	silence()
	client := redis.NewClient(o)
	info, err := client.Info(ctx, "server", "memory").Result()
	if err == nil {
		err = check(o.Addr, info)
	}
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) { // of the handshake
		err = openflow.Errorf(openflow.CodeUnavailable, "Redis at %s does not answer: %w", o.Addr, err).
			WithHint("check that it runs and can be reached, and whether it speaks TLS (rediss://) or not (redis://)")
	}
	if err != nil {
		return nil, errors.Join(Failure("connect to Redis at "+o.Addr, err), client.Close())
	}
	return client, nil
}

// silence keeps the client from writing to the standard error what its callers get as errors too.
var silence = sync.OnceFunc(logging.Disable)

func options(rawURL string) (o *redis.Options, files encrypted.Files, err error) {
	u, err := url.Parse(rawURL)
	if err == nil {
		query := u.Query()
		if query.Has("skip_verify") {
			return nil, files, openflow.Errorf(openflow.CodeInvalid, "the URL of Redis has skip_verify: whoever answers would be believed").
				WithHint("use rediss:// with ca=FILE")
		}
		if files = encrypted.Take(query); files != (encrypted.Files{}) {
			u.RawQuery = query.Encode()
			rawURL = u.String()
		}
		o, err = redis.ParseURL(rawURL)
	}
	if err != nil {
		// The error of a URL repeats it, with its password.
		if whole := (*url.Error)(nil); errors.As(err, &whole) {
			err = whole.Err
		}
		return nil, files, openflow.Errorf(openflow.CodeInvalid, "the URL of Redis cannot be used: %w", err).
			WithHint("use redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path/of/the.sock")
	}
	if o.TLSConfig == nil && files != (encrypted.Files{}) {
		return nil, files, openflow.Errorf(openflow.CodeInvalid, "the URL of Redis names files for TLS, and asks for none").WithHint("use rediss://")
	}
	o.MaxRetries = -1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = replyTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = replyTimeout
	}
	return o, files, nil
}

// check refuses a server that is too old, and one that makes room by forgetting what nobody has read.
func check(address, info string) error {
	fields := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = value
		}
	}
	version := fields["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < minVersion {
		return openflow.Errorf(openflow.CodeInvalid, "Redis at %s has version %q, at least %d is needed",
			address, version, minVersion).
			WithHint("use Redis 7 or later, or Valkey")
	}
	if policy := fields["maxmemory_policy"]; fields["maxmemory"] != "0" && policy != "noeviction" {
		return openflow.Errorf(openflow.CodeInvalid, "Redis at %s has maxmemory-policy %s: it would throw unread messages away",
			address, policy).WithHint("set maxmemory-policy noeviction, or use a server of its own for openflow")
	}
	return nil
}
