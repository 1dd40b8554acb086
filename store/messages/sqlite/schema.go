package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"openflow"
)

const schemaVersion = 1

// A message's key is channel<<32|sequence: the rows of a channel lie side by side and in order in one b-tree, and a
// push needs no second index. body is null when the payload is in a file. The large column is last, so that totals
// are read without it.
const schema = `
create table channel(
  id integer primary key, session text not null, topic text not null,
  last integer not null,     -- highest sequence ever given
  released integer not null, -- sequences up to this one were discarded by a release
  unique(session, topic));
create table message(
  key integer primary key, cost integer not null, file text, source text not null, id text not null, body blob);
create index message_file on message(file) where file is not null;
create table seen(
  channel integer not null, source text not null, id text not null,
  primary key(channel, source, id)) without rowid;
create table closed(session text primary key, until integer not null) without rowid; -- ms
create table nonce(
  peer text not null, nonce text not null, until integer not null, -- ms
  primary key(peer, nonce)) without rowid;
pragma user_version = 1;`

func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return failure("open message store", err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after the commit
	var version int
	if err := tx.QueryRowContext(ctx, "pragma user_version").Scan(&version); err != nil {
		return failure("open message store", err)
	}
	switch version {
	case schemaVersion:
		return nil
	case 0:
	default:
		return openflow.Errorf(openflow.CodeInvalid, "message store has schema version %d, this program knows %d",
			version, schemaVersion).WithHint("use the program that wrote it, or an empty folder")
	}
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return failure("create message store", err)
	}
	if err := tx.Commit(); err != nil {
		return failure("create message store", err)
	}
	return nil
}

// statements are prepared once: parsing costs more than running.
type statements struct {
	newChannel, setLast, see, insert *sql.Stmt
	take, drop, peek, restore        *sql.Stmt
	discard, setReleased             *sql.Stmt
	claim                            *sql.Stmt
}

const rowColumns = `key, cost, file, source, id, body`

// A filter on a source lets messages of unknown source pass. Spec: interop-transport §6.3.
const fromSource = ` and (?3 = '' or source = ?3 or source = '')`

func (p *statements) prepare(ctx context.Context, db *sql.DB) error {
	for target, text := range map[**sql.Stmt]string{
		&p.newChannel: `insert into channel(session, topic, last, released) values(?, ?, 0, 0) returning id`,
		&p.setLast:    `update channel set last = ?2 where id = ?1`,
		&p.see:        `insert into seen(channel, source, id) values(?, ?, ?) on conflict do nothing`,
		&p.insert:     `insert into message(` + rowColumns + `) values(?, ?, ?, ?, ?, ?)`,
		&p.restore:    `insert into message(` + rowColumns + `) values(?, ?, ?, ?, ?, ?) on conflict do nothing`,
		&p.take: `delete from message where key = (select key from message where key > ?1 and key <= ?2` + fromSource +
			` order by key limit 1) returning ` + rowColumns,
		&p.peek: `select ` + rowColumns + ` from message where key > ?1 and key <= ?2` + fromSource +
			` order by key limit 1`,
		&p.drop:        `delete from message where key > ?1 and key <= ?2` + fromSource + ` returning cost, file, source`,
		&p.discard:     `delete from message where key > ?1 and key <= ?2 returning cost, file, source`,
		&p.setReleased: `update channel set released = last where id = ?`,
		&p.claim:       `insert into nonce(peer, nonce, until) values(?, ?, ?) on conflict do nothing`,
	} {
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		*target = stmt
	}
	return nil
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || hasCode(err, sqlite3.SQLITE_FULL)
}

func isBusy(err error) bool { return hasCode(err, sqlite3.SQLITE_BUSY) }

func hasCode(err error, code int) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == code
}
