package catalogue

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"

	"github.com/pressly/goose/v3"

	"openflow"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrateUp brings the database to this program's version. Releases only go forward, so a database of a later version
// is refused rather than used with columns that this program does not know.
func migrateUp(ctx context.Context, db *sql.DB, file string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "catalogue: embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return classify("migrate "+file, err)
	}
	have, ours, err := p.GetVersions(ctx)
	if err != nil {
		return classify("migrate "+file, err)
	}
	if have > ours {
		return openflow.Errorf(openflow.CodeConflict,
			"catalogue %s has version %d, made by a newer openflow; this one knows version %d", file, have, ours).
			WithHint("start the newer program again, or restore a backup from before the upgrade")
	}
	if have == ours {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		var partial *goose.PartialError
		if errors.As(err, &partial) && partial.Failed != nil && partial.Failed.Source != nil {
			return openflow.Errorf(openflow.CodeInternal, "catalogue %s: migration %d: %w", file, partial.Failed.Source.Version, err)
		}
		return classify("migrate "+file, err)
	}
	return nil
}
