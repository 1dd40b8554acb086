package redis

import (
	"context"
	_ "embed" // the scripts
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"

	"openflow"
	"openflow/store/messages"
	"openflow/store/redisdb"
)

//go:embed scripts/session.lua
var sessionLua string

//go:embed scripts/push.lua
var pushLua string

//go:embed scripts/read.lua
var readLua string

//go:embed scripts/unpop.lua
var unpopLua string

//go:embed scripts/release.lua
var releaseLua string

//go:embed scripts/close.lua
var closeLua string

//go:embed scripts/sweep.lua
var sweepLua string

// A script that needs room is refused as a whole when the server's memory is full; one that makes room never is.
const (
	needsRoom = "#!lua\n"
	makesRoom = "#!lua flags=allow-oom\n"
)

var (
	pushScript    = redis.NewScript(needsRoom + sessionLua + pushLua)
	readScript    = redis.NewScript(makesRoom + sessionLua + readLua)
	unpopScript   = redis.NewScript(makesRoom + sessionLua + unpopLua)
	releaseScript = redis.NewScript(makesRoom + sessionLua + releaseLua)
	closeScript   = redis.NewScript(makesRoom + sessionLua + closeLua)
	sweepScript   = redis.NewScript(makesRoom + sessionLua + sweepLua)
)

const (
	stateSuffix  = "}:state"
	indexSuffix  = "}:index"
	closedSuffix = "}:closed"
)

// tag is a session's name in keys and notices: the same for the keys of one session, and free of what a key, a pattern or
// a notice gives a meaning.
func tag(session string) string { return url.QueryEscape(session) }

func (s *Store) keys(tag string) []string {
	return []string{
		s.opts.Prefix + "{" + tag + stateSuffix,
		s.opts.Prefix + "{" + tag + indexSuffix,
		s.opts.Prefix + "{" + tag + "}:bodies",
		s.opts.Prefix + "{" + tag + "}:seen",
		s.opts.Prefix + "{" + tag + closedSuffix,
		s.opts.Prefix + "shared",
	}
}

// run runs a script to its end: an interrupted one would leave the caller not knowing what it did.
func (s *Store) run(ctx context.Context, script *redis.Script, session, topic string, args ...any) ([]any, error) {
	if s.life.Err() != nil {
		return nil, messages.Closed()
	}
	name := tag(session)
	all := append([]any{s.wakeChannel(), name, s.opts.Expiry.Milliseconds(), topic, s.opts.Job(session)}, args...)
	answer, err := script.Run(context.WithoutCancel(ctx), s.client, s.keys(name), all...).Slice()
	if err != nil && s.life.Err() != nil {
		return nil, messages.Closed()
	}
	return answer, err
}

// The verdicts of the scripts.
const (
	verdictReleased = "released"
	verdictStored   = "stored"
	verdictRepeat   = "repeat"
	verdictFull     = "full"
	verdictSpent    = "spent"
	verdictMessage  = "message"
	verdictEmpty    = "empty"
	verdictNever    = "never"
)

// onChannel runs a script whose answer begins with a verdict and, unless that is "released", the channel's epoch.
func (s *Store) onChannel(ctx context.Context, script *redis.Script, c messages.Channel, args ...any) (
	verdict, epoch string, rest []string, err error) {
	answer, err := s.run(ctx, script, c.Session, c.Topic, args...)
	if err != nil {
		return "", "", nil, err
	}
	words := texts(answer)
	switch {
	case len(words) > 0 && words[0] == verdictReleased:
		return "", "", nil, messages.Released(c)
	case len(words) == 1:
		return words[0], "", nil, nil
	case len(words) > 1:
		return words[0], words[1], words[2:], nil
	}
	return "", "", nil, openflow.Errorf(openflow.CodeInternal, "a script of the message store answered %v", answer)
}

func texts(answer []any) []string {
	words := make([]string, 0, len(answer))
	for _, a := range answer {
		text, _ := a.(string)
		words = append(words, text)
	}
	return words
}

func failed(op string, c messages.Channel, err error) error {
	return redisdb.Failure(op+" on topic "+c.Topic+" of session "+c.Session, err)
}

// glob escapes what means something in a pattern of SCAN.
var glob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)
