package catalogue

import (
	"context"
	"database/sql"
	"errors"
)

// Meta returns a fact about the node, such as its UUID; empty when it was never set.
func (c *Catalogue) Meta(ctx context.Context, name string) (string, error) {
	var value string
	err := c.one(ctx, `select value from meta where name = $1`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, classify("read "+name, err)
}

// SetMeta replaces a fact about the node.
func (c *Catalogue) SetMeta(ctx context.Context, name, value string) error {
	_, err := c.exec(ctx, `insert into meta (name, value) values ($1, $2)
		on conflict (name) do update set value = excluded.value`, name, value)
	return classify("set "+name, err)
}

// MetaOnce sets a fact that never changes and returns the value that counts: the one given first.
func (c *Catalogue) MetaOnce(ctx context.Context, name, value string) (string, error) {
	var kept string
	err := c.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `insert into meta (name, value) values ($1, $2) on conflict (name) do nothing`, name, value)
		if err != nil {
			return err
		}
		return t.one(ctx, `select value from meta where name = $1`, name).Scan(&kept)
	})
	return kept, classify("set "+name, err)
}
