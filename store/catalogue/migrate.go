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

// migrateUp brings the database to this program's version; place names it in errors. Releases only go forward, so a
// database of a later version is refused rather than used with columns that this program does not know.
func migrateUp(ctx context.Context, db *sql.DB, place string, engine goose.Dialect, options ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "catalogue: embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(engine, db, files, options...)
	if err != nil {
		return classify("migrate "+place, err)
	}
	// First up, then the comparison: only the former takes the lock that holds off other replicas, and on a database of a
	// later version it finds nothing to do.
	if _, err := p.Up(ctx); err != nil {
		var partial *goose.PartialError
		if errors.As(err, &partial) && partial.Failed != nil && partial.Failed.Source != nil {
			return openflow.Errorf(openflow.CodeInternal, "catalogue %s: migration %d: %w", place, partial.Failed.Source.Version, err)
		}
		return classify("migrate "+place, err)
	}
	have, ours, err := p.GetVersions(ctx)
	if err != nil {
		return classify("migrate "+place, err)
	}
	if have > ours {
		return openflow.Errorf(openflow.CodeConflict,
			"catalogue %s has version %d, made by a newer openflow; this one knows version %d", place, have, ours).
			WithHint("start the newer program again, or restore a backup from before the upgrade")
	}
	return nil
}
