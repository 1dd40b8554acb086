// Package redis keeps messages and nonces in a Redis server, which all server replicas of a node share.
//
// Redis is the truth: every change is one script, and what a script decides holds for every replica. Memory holds
// signals only. A script that lets others go on (a message for who waits, room for who is refused, a release) publishes
// that. Each replica then wakes its own blocked callers, which ask again. A notice that is lost costs a caller seconds,
// never a message.
//
// All of a session is in five keys, and what sessions take together is in one more, which the same scripts change. So a
// limit holds for all replicas at once, and the server is one server and no cluster. Payloads above Options.InlineBytes are bodies in an
// object store of their own. Whatever nobody touches for Options.Expiry expires.
//
// A server that syncs its append-only file at every write (appendfsync always) loses nothing that was acknowledged,
// neither by kill -9 nor with the power. With everysec either may lose the last second or two.
//
// Start reading at [Open], then scripts/session.lua, push.go and read.go.
//
// Spec: redis §2, §3.
package redis
