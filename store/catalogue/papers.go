package catalogue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"openflow"
)

// papersRow is a row of the table provider_papers.
type papersRow struct {
	Name       string `db:"name"`
	Version    string `db:"version"`
	Signatures string `db:"signatures"` // JSON
	SBOM       string `db:"sbom"`
	Origin     string `db:"origin"`
}

var (
	papersColumns = columnsOf[papersRow]()
	savePapers    = papersColumns.save("provider_papers", "name", "version")
	selectPapers  = `select ` + papersColumns.names + ` from provider_papers where name = $1 and version = $2`
)

const dropPapers = `delete from provider_papers where name = $1 and version = $2`

// SavePapers keeps who vouches for a provider and what it is made of, in place of what was kept. CodeNotFound: it is not
// registered.
func (c *Catalogue) SavePapers(ctx context.Context, name, version string, p openflow.Papers) error {
	signatures, err := json.Marshal(p.Signatures)
	if err == nil {
		err = c.write(ctx, func(t *tx) error {
			if _, err := scanProvider(t.one(ctx, selectProvider, name, version)); errors.Is(err, sql.ErrNoRows) {
				return unknownProvider(name, version)
			} else if err != nil {
				return err
			}
			_, err := t.exec(ctx, savePapers, papersColumns.values(papersRow{name, version, string(signatures), string(p.SBOM), p.Origin})...)
			return err
		})
	}
	return classify("keep the papers of provider "+name, err)
}

// Papers are what is kept of a provider; none at all for one of which nothing is kept.
func (c *Catalogue) Papers(ctx context.Context, name, version string) (openflow.Papers, error) {
	r, err := papersColumns.scan(c.one(ctx, selectPapers, name, version))
	if errors.Is(err, sql.ErrNoRows) {
		return openflow.Papers{}, nil
	}
	p := openflow.Papers{SBOM: []byte(r.SBOM), Origin: r.Origin}
	if err == nil {
		err = json.Unmarshal([]byte(r.Signatures), &p.Signatures)
	}
	return p, classify("read the papers of provider "+name, err)
}
