package catalogue

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"openflow"
)

// papersRow is a row of the table provider_papers.
type papersRow struct {
	Name       string `db:"name"`
	Version    string `db:"version"`
	Digest     string `db:"digest"`
	Signatures string `db:"signatures"` // JSON
	SBOM       string `db:"sbom"`
	Origin     string `db:"origin"`
}

var (
	papersColumns = columnsOf[papersRow]()
	savePapers    = papersColumns.save("provider_papers", "name", "version")
	selectPapers  = `select ` + papersColumns.names + ` from provider_papers where name = $1 and version = $2 and digest = $3`
)

const (
	dropPapers = `delete from provider_papers where name = $1 and version = $2`
	notePapers = `update provider set papers = $3 where name = $1 and version = $2`
)

// keepPapers keeps who vouches for a provider and what it is made of, beside what is kept of the same content.
func keepPapers(ctx context.Context, t *tx, r openflow.ProviderRecord, p openflow.Papers) error {
	have, err := scanPapers(t.one(ctx, selectPapers, r.Name, r.Version, r.Digest))
	if err != nil {
		return err
	}
	if p = p.Beside(have); len(p.Signatures) == 0 && len(p.SBOM) == 0 {
		return nil
	}
	signatures, err := json.Marshal(p.Signatures)
	if err != nil {
		return err
	}
	row := papersRow{r.Name, r.Version, r.Digest, string(signatures), string(p.SBOM), p.Origin}
	if _, err := t.exec(ctx, savePapers, papersColumns.values(row)...); err != nil {
		return err
	}
	_, err = t.exec(ctx, notePapers, r.Name, r.Version, row.sum())
	return err
}

// sum is the digest of what a row says.
func (r papersRow) sum() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", r.Signatures, r.SBOM, r.Origin))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Papers are what is kept of a provider of that content; none at all for one of which nothing is kept.
func (c *Catalogue) Papers(ctx context.Context, r openflow.ProviderRecord) (openflow.Papers, error) {
	p, err := scanPapers(c.one(ctx, selectPapers, r.Name, r.Version, r.Digest))
	return p, classify("read the papers of provider "+r.Name, err)
}

func scanPapers(from row) (openflow.Papers, error) {
	r, err := papersColumns.scan(from)
	if errors.Is(err, sql.ErrNoRows) {
		return openflow.Papers{}, nil
	}
	p := openflow.Papers{SBOM: []byte(r.SBOM), Origin: r.Origin}
	if err == nil {
		err = json.Unmarshal([]byte(r.Signatures), &p.Signatures)
	}
	return p, err
}
