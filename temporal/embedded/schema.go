package embedded

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"go.temporal.io/server/schema"
	sqliteschema "go.temporal.io/server/schema/sqlite"

	"openflow"
)

// Where the server's module keeps its schema, inside schema.Assets().
const (
	mainSchema       = "sqlite/v3/temporal/schema.sql"
	visibilitySchema = "sqlite/v3/visibility/schema.sql"
	migrations       = "sqlite/v3/temporal/versioned"
)

// prepareStore leaves the server's file with the schema of the linked server: it sets a new file up, migrates an old
// one, and refuses a newer one. The server itself does none of that for SQLite, nor does it notice. The version is kept
// in PRAGMA user_version, and every change happens in one transaction with it, so a kill at any point leaves either the
// old or the new schema. Errors: CodeConflict (newer, or not made by this package), CodeInternal.
func (o Options) prepareStore(ctx context.Context) error {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "data folder of the embedded temporal server: %w", err)
	}
	want, err := parseVersion(sqliteschema.Version)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", o.dsn())
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "open %s: %w", o.file(), err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)

	err = inTx(ctx, db, func(tx *sql.Tx) error { return upgrade(ctx, tx, o.file(), want) })
	if err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "schema of %s: %w", o.file(), err)
	}
	return nil
}

func upgrade(ctx context.Context, tx *sql.Tx, file string, want int) error {
	have, err := schemaVersion(ctx, tx)
	if err != nil {
		return err
	}
	switch {
	case have > want:
		return openflow.Errorf(openflow.CodeConflict, "version %d is newer than version %d, which this program knows",
			have, want).WithHint("start the release that wrote it, or restore a backup of %s", file)
	case have == 0:
		if err := discardRemains(ctx, tx); err != nil {
			return err
		}
		if err := execAssets(ctx, tx, mainSchema, visibilitySchema); err != nil {
			return err
		}
	default:
		if err := migrate(ctx, tx, have); err != nil {
			return err
		}
		if err := refreshVisibility(ctx, tx); err != nil {
			return err
		}
	}
	if have == want {
		return nil
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("pragma user_version = %d", want)) // a pragma takes no arguments
	return err
}

func schemaVersion(ctx context.Context, tx *sql.Tx) (version int, err error) {
	err = tx.QueryRowContext(ctx, "pragma user_version").Scan(&version)
	return version, err
}

// discardRemains drops what a first start left that was killed before its schema was complete. Nothing of value can be
// in it: a namespace comes after the version. A file with one was made by somebody else and is not touched.
func discardRemains(ctx context.Context, tx *sql.Tx) error {
	objects, err := schemaObjects(ctx, tx)
	if err != nil {
		return err
	}
	if _, ok := objects["namespaces"]; ok {
		var n int
		if err := tx.QueryRowContext(ctx, "select count(*) from namespaces").Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return openflow.Errorf(openflow.CodeConflict, "it has namespaces but no version, so it is not openflow's").
				WithHint("name another data folder")
		}
	}
	return dropTables(ctx, tx, objects)
}

// step is one version of the schema and the files that lead to it from the version before.
type step struct {
	version int
	files   []string
}

// migrate applies the steps above version have, in order.
func migrate(ctx context.Context, tx *sql.Tx, have int) error {
	steps, err := shippedSteps()
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.version <= have {
			continue
		}
		if err := execAssets(ctx, tx, s.files...); err != nil {
			return fmt.Errorf("step to version %d: %w", s.version, err)
		}
	}
	return nil
}

// shippedSteps reads the versioned folders of the server's module, sorted by version.
func shippedSteps() ([]step, error) {
	manifests, err := fs.Glob(schema.Assets(), path.Join(migrations, "*", "manifest.json"))
	if err != nil {
		return nil, err
	}
	steps := make([]step, 0, len(manifests))
	for _, name := range manifests {
		var m struct {
			CurrVersion          string
			SchemaUpdateCqlFiles []string
		}
		data, err := fs.ReadFile(schema.Assets(), name)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s := step{}
		if s.version, err = parseVersion(m.CurrVersion); err != nil {
			return nil, err
		}
		for _, f := range m.SchemaUpdateCqlFiles {
			s.files = append(s.files, path.Join(path.Dir(name), f))
		}
		steps = append(steps, s)
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.version, b.version) })
	return steps, nil
}

// parseVersion turns "0.11" into 11 and "1.2" into 1002, the number in PRAGMA user_version.
func parseVersion(s string) (int, error) {
	major, minor, ok := strings.Cut(s, ".")
	a, err1 := strconv.ParseUint(major, 10, 16)
	b, err2 := strconv.ParseUint(minor, 10, 16)
	if !ok || err1 != nil || err2 != nil || b >= 1000 {
		return 0, openflow.Errorf(openflow.CodeInternal, "schema version %q of the linked temporal server is not MAJOR.MINOR", s)
	}
	return int(a*1000 + b), nil
}

func execAssets(ctx context.Context, tx *sql.Tx, names ...string) error {
	for _, name := range names {
		data, err := fs.ReadFile(schema.Assets(), name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(data)); err != nil {
			return fmt.Errorf("%s: %w", path.Base(name), err)
		}
	}
	return nil
}

func inTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
