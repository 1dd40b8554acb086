package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"openflow"
	"openflow/store/document"
)

// providerRow is a row of the table provider.
type providerRow struct {
	Name    string `db:"name"`
	Version string `db:"version"`
	Kind    string `db:"kind"`
	Place   string `db:"place"`
	Digest  string `db:"digest"`
	Dialect string `db:"dialect"`
	Enabled bool   `db:"enabled"`
	AddedBy string `db:"added_by"`
	AddedAt int64  `db:"added_at"`
}

// offerRow is a row of the table component.
type offerRow struct {
	Name        string `db:"name"`
	Provider    string `db:"provider"`
	Version     string `db:"version"`
	Description string `db:"description"` // document.Component
}

// defaultRow is a row of the table component_default.
type defaultRow struct {
	Component string `db:"component"`
	Provider  string `db:"provider"`
	Version   string `db:"version"`
}

var (
	providerColumns = columnsOf[providerRow]()
	insertProvider  = providerColumns.insert("provider")
	selectProvider  = `select ` + providerColumns.names + ` from provider where name = $1 and version = $2`
	selectBuiltIn   = `select ` + providerColumns.names + ` from provider where kind = $1`

	offerColumns = columnsOf[offerRow]()
	insertOffer  = offerColumns.insert("component")

	defaultColumns = columnsOf[defaultRow]()
	saveDefault    = defaultColumns.save("component_default", "component")
)

const (
	dropOffers   = `delete from component where provider = $1 and version = $2`
	dropProvider = `delete from provider where name = $1 and version = $2`
)

// openRuns counts the runs of a provider that have not ended, of jobs that have not ended either. The device of a run's
// provider does not count.
const openRuns = `select count(*) from task join job on job.job_id = task.job_id and job.scheduler = task.scheduler
		and job.role = task.role and job.party = task.party
	where substr(task.provider, 1, length($1)) = $1 and task.party_status in ('waiting', 'running')
		and job.status in ('ready', 'waiting', 'running')`

// AddProvider records a local program and its components. The same one again changes nothing. CodeConflict: the name and
// version are another program's, or its containers speak another dialect.
func (c *Catalogue) AddProvider(ctx context.Context, p openflow.ProviderRecord, components []openflow.ComponentRecord) error {
	err := c.write(ctx, func(t *tx) error {
		have, err := scanProvider(t.one(ctx, selectProvider, p.Name, p.Version))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return c.putProvider(ctx, t, p, components)
		case err != nil:
			return err
		case have.Kind == p.Kind && have.Place == p.Place && have.Digest == p.Digest && have.Dialect == p.Dialect:
			return nil
		case have.Digest == p.Digest && have.Dialect != p.Dialect:
			return openflow.Errorf(openflow.CodeConflict, "provider %s is registered with containers that speak %s", have.Ref(), have.Dialect).
				WithHint("to change that, remove it first: openflow provider remove %s", have.Ref())
		}
		return openflow.Errorf(openflow.CodeConflict, "provider %s is registered with another program: %s, %s", have.Ref(), have.Place, have.Digest).
			WithHint("give the new program another version, or remove the old one first: openflow provider remove %s", have.Ref())
	})
	return classify("add provider "+p.Ref().String(), err)
}

// SetBuiltIn records the program that the site's machines bring along, in place of the one before, and of a local program that
// has its name and version. Whether it takes new jobs stays as it was.
func (c *Catalogue) SetBuiltIn(ctx context.Context, p openflow.ProviderRecord, components []openflow.ComponentRecord) error {
	err := c.write(ctx, func(t *tx) error {
		have, err := scanProvider(t.one(ctx, selectProvider, p.Name, p.Version))
		if err == nil && have.Kind == p.Kind && have.Digest == p.Digest && have.Dialect == p.Dialect {
			return nil
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		before, err := scanProvider(t.one(ctx, selectBuiltIn, string(p.Kind)))
		switch {
		case err == nil:
			p.Enabled = before.Enabled
		case errors.Is(err, sql.ErrNoRows):
			before = p
		default:
			return err
		}
		for _, gone := range []openflow.ProviderRecord{before, p} {
			for _, query := range []string{dropOffers, dropProvider} {
				if _, err := t.exec(ctx, query, gone.Name, gone.Version); err != nil {
					return err
				}
			}
		}
		return c.putProvider(ctx, t, p, components)
	})
	return classify("record the built-in provider", err)
}

func (c *Catalogue) putProvider(ctx context.Context, t *tx, p openflow.ProviderRecord, components []openflow.ComponentRecord) error {
	_, err := t.exec(ctx, insertProvider, providerColumns.values(providerRow{
		Name: p.Name, Version: p.Version, Kind: string(p.Kind), Place: p.Place, Digest: p.Digest, Dialect: string(p.Dialect), Enabled: p.Enabled, AddedBy: p.AddedBy,
		AddedAt: orNow(p.AddedAt, c.stamp()),
	})...)
	for _, o := range components {
		var text string
		if err == nil {
			text, err = encode("the description of component "+o.Name, document.EncodeComponent(o))
		}
		if err == nil {
			_, err = t.exec(ctx, insertOffer, offerColumns.values(offerRow{o.Name, p.Name, p.Version, text})...)
		}
	}
	return err
}

func scanProvider(from row) (openflow.ProviderRecord, error) {
	r, err := providerColumns.scan(from)
	return openflow.ProviderRecord{
		Name: r.Name, Version: r.Version, Kind: openflow.ProviderKind(r.Kind), Place: r.Place, Digest: r.Digest,
		Dialect: openflow.Dialect(r.Dialect), Enabled: r.Enabled, AddedBy: r.AddedBy, AddedAt: timeOf(r.AddedAt),
	}, err
}

func unknownProvider(name, version string) error {
	return openflow.Errorf(openflow.CodeNotFound, "provider %s is not registered here", openflow.ProviderRef{Name: name, Version: version}).
		WithHint("openflow provider list shows which are")
}

// Provider finds one by name and version. CodeNotFound: it is not registered.
func (c *Catalogue) Provider(ctx context.Context, name, version string) (openflow.ProviderRecord, error) {
	p, err := scanProvider(c.one(ctx, selectProvider, name, version))
	if errors.Is(err, sql.ErrNoRows) {
		return p, unknownProvider(name, version)
	}
	return p, classify("read provider "+name, err)
}

// Providers lists them by name and version, the built-in one first.
func (c *Catalogue) Providers(ctx context.Context) ([]openflow.ProviderRecord, error) {
	var list []openflow.ProviderRecord
	query := `select ` + providerColumns.names + ` from provider order by case kind when 'built-in' then 0 else 1 end, name, version`
	err := c.each(ctx, query, nil, func(r row) error {
		p, err := scanProvider(r)
		list = append(list, p)
		return err
	})
	return list, classify("list providers", err)
}

// Components lists what a provider has, by name.
func (c *Catalogue) Components(ctx context.Context, name, version string) ([]openflow.ComponentRecord, error) {
	var list []openflow.ComponentRecord
	query := `select ` + offerColumns.names + ` from component where provider = $1 and version = $2 order by name`
	err := c.each(ctx, query, []any{name, version}, func(from row) error {
		r, err := offerColumns.scan(from)
		if err != nil {
			return err
		}
		c, err := decodeComponent(r)
		list = append(list, c)
		return err
	})
	return list, classify("list the components of provider "+name, err)
}

// EnableProvider says whether a provider takes new jobs. CodeNotFound: it is not registered.
func (c *Catalogue) EnableProvider(ctx context.Context, name, version string, enabled bool) error {
	n, err := c.exec(ctx, `update provider set enabled = $3 where name = $1 and version = $2`, name, version, enabled)
	if err == nil && n == 0 {
		return unknownProvider(name, version)
	}
	return classify("enable provider "+name, err)
}

// RemoveProvider forgets a provider, its components and the defaults that name it. What it has run keeps its name.
// CodeConflict: runs that have not ended need it. CodeNotFound: it is not registered.
func (c *Catalogue) RemoveProvider(ctx context.Context, name, version string) error {
	ref := openflow.ProviderRef{Name: name, Version: version}
	err := c.write(ctx, func(t *tx) error {
		var open int
		if err := t.one(ctx, openRuns, ref.String()+"@").Scan(&open); err != nil {
			return err
		}
		if open > 0 {
			return openflow.Errorf(openflow.CodeConflict, "provider %s is in use: runs that have not ended: %d", ref, open).
				WithHint("end their jobs or wait for them; openflow provider disable %s keeps new jobs from it meanwhile", ref)
		}
		n, err := t.exec(ctx, dropProvider, name, version)
		if err == nil && n == 0 {
			return unknownProvider(name, version)
		}
		for _, query := range []string{dropOffers, `delete from component_default where provider = $1 and version = $2`} {
			if err == nil {
				_, err = t.exec(ctx, query, name, version)
			}
		}
		return err
	})
	return classify(fmt.Sprintf("remove provider %s", ref), err)
}

// SetDefault says which provider serves a component where the job names none; an empty one takes that back.
func (c *Catalogue) SetDefault(ctx context.Context, component string, p openflow.ProviderRef) error {
	var err error
	if p.Name == "" {
		_, err = c.exec(ctx, `delete from component_default where component = $1`, component)
	} else {
		_, err = c.exec(ctx, saveDefault, defaultColumns.values(defaultRow{component, p.Name, p.Version})...)
	}
	return classify("set the default provider of "+component, err)
}

// Defaults tells which provider serves a component where the job names none, of those components that have one set.
func (c *Catalogue) Defaults(ctx context.Context) (map[string]openflow.ProviderRef, error) {
	defaults := map[string]openflow.ProviderRef{}
	err := c.each(ctx, `select `+defaultColumns.names+` from component_default`, nil, func(from row) error {
		r, err := defaultColumns.scan(from)
		defaults[r.Component] = openflow.ProviderRef{Name: r.Provider, Version: r.Version}
		return err
	})
	return defaults, classify("list default providers", err)
}
