package catalogue

import (
	"context"
	"database/sql"
	"errors"
)

// metaRow is a row of the table meta.
type metaRow struct {
	Name  string `db:"name"`
	Value string `db:"value"`
}

var (
	metaColumns = columnsOf[metaRow]()
	saveMeta    = metaColumns.save("meta", "name")
	insertMeta  = metaColumns.insert("meta") + ` on conflict (name) do nothing`
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
	_, err := c.exec(ctx, saveMeta, metaColumns.values(metaRow{name, value})...)
	return classify("set "+name, err)
}

// MetaOnce sets a fact that never changes and returns the value that counts: the one given first.
func (c *Catalogue) MetaOnce(ctx context.Context, name, value string) (string, error) {
	var kept string
	err := c.write(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, insertMeta, metaColumns.values(metaRow{name, value})...); err != nil {
			return err
		}
		return t.one(ctx, `select value from meta where name = $1`, name).Scan(&kept)
	})
	return kept, classify("set "+name, err)
}
