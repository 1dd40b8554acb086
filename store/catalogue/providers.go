package catalogue

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

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
	Archive string `db:"archive"`
	Dialect string `db:"dialect"`
	AddedBy string `db:"added_by"`
	AddedAt int64  `db:"added_at"`
	Papers  string `db:"papers"`

	Interpreter string `db:"interpreter"`
}

// offerRow is a row of the table component.
type offerRow struct {
	Name        string `db:"name"`
	Provider    string `db:"provider"`
	Version     string `db:"version"`
	State       string `db:"state"`
	Since       int64  `db:"since"`
	Machine     string `db:"machine"`
	Reason      string `db:"reason"`
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
	selectOffers = `select ` + offerColumns.names + ` from component where provider = $1 and version = $2 order by name`

	defaultColumns = columnsOf[defaultRow]()
	saveDefault    = defaultColumns.save("component_default", "component")
)

const (
	setDescription = `update component set description = $4 where name = $1 and provider = $2 and version = $3`
	setPlace       = `update provider set place = $3, archive = $4 where name = $1 and version = $2`
	dropOffers     = `delete from component where provider = $1 and version = $2`
	dropDefaults   = `delete from component_default where provider = $1 and version = $2`
	dropProvider   = `delete from provider where name = $1 and version = $2`
)

// openRuns counts the runs of a provider that have not ended, of jobs that have not ended either. The device of a run's
// provider does not count.
const openRuns = `select count(*) from task join job on job.job_id = task.job_id and job.scheduler = task.scheduler
		and job.role = task.role and job.party = task.party
	where substr(task.provider, 1, length($1)) = $1 and task.party_status in ('waiting', 'running')
		and job.status in ('ready', 'waiting', 'running')`

// AddProvider records a program or image, its components, which stand as loaded, and its papers, all or nothing. The same one
// again changes nothing but where it lies, and its papers are kept beside those that there are.
// CodeConflict: the name and version are another's, its containers speak another dialect, or it describes itself otherwise.
func (c *Catalogue) AddProvider(ctx context.Context, p openflow.ProviderRecord, components []openflow.ComponentRecord, papers openflow.Papers) error {
	err := c.write(ctx, func(t *tx) error {
		have, err := scanProvider(t.one(ctx, selectProvider, p.Name, p.Version))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return c.putProvider(ctx, t, p, components, papers)
		case err != nil:
			return err
		case have.Kind == p.Kind && have.Digest == p.Digest && have.Dialect == p.Dialect && have.Interpreter == p.Interpreter:
			if err := same(ctx, t, p, components); err != nil {
				return err
			}
			if err := move(ctx, t, have, p); err != nil {
				return err
			}
			return keepPapers(ctx, t, p, papers)
		case have.Digest == p.Digest && have.Dialect != p.Dialect:
			return openflow.Errorf(openflow.CodeConflict, "provider %s is registered with containers that speak %s", have.Ref(), have.Dialect).
				WithHint("to change that, remove it first: openflow provider remove %s", have.Ref())
		}
		if have.Digest == p.Digest {
			return openflow.Errorf(openflow.CodeConflict, "provider %s is registered with interpreter %q, which runs its code", have.Ref(), have.Interpreter).
				WithHint("to change that, remove it first: openflow provider remove %s", have.Ref())
		}
		return openflow.Errorf(openflow.CodeConflict, "provider %s is registered with another program or image: %s, %s", have.Ref(), have.Place, have.Digest).
			WithHint("give the new one another version, or remove the old one first: openflow provider remove %s", have.Ref())
	})
	return classify("add provider "+p.Ref().String(), err)
}

// move notes where what is registered lies now. An image that has an archive keeps it: what only names an image that the runtime
// has cannot bring it back.
func move(ctx context.Context, t *tx, have, now openflow.ProviderRecord) error {
	if have.Place == now.Place && have.Archive == now.Archive || have.Archive != "" && now.Archive == "" || now.Place == now.Digest {
		return nil
	}
	_, err := t.exec(ctx, setPlace, now.Name, now.Version, now.Place, now.Archive)
	return err
}

// same refuses what describes itself otherwise than it did when it was registered.
func same(ctx context.Context, t *tx, p openflow.ProviderRecord, components []openflow.ComponentRecord) error {
	said := map[string]openflow.ComponentRecord{}
	for _, c := range components {
		said[c.Name] = c
	}
	known := 0
	err := t.each(ctx, selectOffers, func(from row) error {
		r, err := offerColumns.scan(from)
		if err != nil {
			return err
		}
		have, err := decodeComponent(r)
		if known++; err == nil && !have.DescribedAs(said[r.Name]) {
			err = describedAnew(p.Ref(), r.Name)
		}
		return err
	}, p.Name, p.Version)
	if err == nil && known != len(components) {
		err = describedAnew(p.Ref(), "")
	}
	return err
}

// describedAnew is that a provider describes itself, or one component, in another way than before. Errors: CodeConflict.
func describedAnew(p openflow.ProviderRef, component string) error {
	what := "its components"
	if component != "" {
		what = "component \"" + component + "\""
	}
	return openflow.Errorf(openflow.CodeConflict, "provider %s describes %s in another way than before, and its digest is the same", p, what).
		WithHint("tell its vendor: descriptions depend on nothing but the program")
}

// SetBuiltIn records the program that the site's machines bring along, in place of the one before, and of a local program that
// has its name and version; nothing that was kept of these stays. What was unloaded stays so.
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
		if errors.Is(err, sql.ErrNoRows) {
			before, err = p, nil
		}
		if err != nil {
			return err
		}
		unloaded, err := t.strings(ctx, `select name from component where provider = $1 and version = $2 and state = 'UNLOADED'`, before.Name, before.Version)
		if err != nil {
			return err
		}
		for i, o := range components {
			if slices.Contains(unloaded, o.Name) {
				components[i].Standing.State = openflow.ComponentUnloaded
			}
		}
		for _, gone := range []openflow.ProviderRecord{before, p} {
			if _, err := forgetProvider(ctx, t, gone.Ref()); err != nil {
				return err
			}
		}
		return c.putProvider(ctx, t, p, components, openflow.Papers{})
	})
	return classify("record the built-in provider", err)
}

func (c *Catalogue) putProvider(
	ctx context.Context, t *tx, p openflow.ProviderRecord, components []openflow.ComponentRecord, papers openflow.Papers,
) error {
	_, err := t.exec(ctx, insertProvider, providerColumns.values(providerRow{
		Name: p.Name, Version: p.Version, Kind: string(p.Kind), Place: p.Place, Digest: p.Digest, Archive: p.Archive, Dialect: string(p.Dialect), AddedBy: p.AddedBy,
		AddedAt: orNow(p.AddedAt, c.stamp()), Interpreter: p.Interpreter,
	})...)
	for _, o := range components {
		var text string
		if err == nil {
			text, err = encode("the description of component "+o.Name, document.EncodeComponent(o))
		}
		if err == nil {
			_, err = t.exec(ctx, insertOffer, offerColumns.values(offerRow{
				Name: o.Name, Provider: p.Name, Version: p.Version, State: string(cmp.Or(o.Standing.State, openflow.ComponentLoaded)),
				Since: orNow(o.Standing.Since, c.stamp()), Machine: o.Standing.Machine, Reason: o.Standing.Reason, Description: text,
			})...)
		}
	}
	if err == nil {
		err = keepPapers(ctx, t, p, papers)
	}
	return err
}

// SetDescription writes what a registered component says of itself anew.
func (c *Catalogue) SetDescription(ctx context.Context, o openflow.ComponentRecord) error {
	text, err := encode("the description of component "+o.Name, document.EncodeComponent(o))
	if err == nil {
		_, err = c.exec(ctx, setDescription, o.Name, o.Provider.Name, o.Provider.Version, text)
	}
	return classify("write the description of component "+o.Name, err)
}

func scanProvider(from row) (openflow.ProviderRecord, error) {
	r, err := providerColumns.scan(from)
	return openflow.ProviderRecord{
		Name: r.Name, Version: r.Version, Kind: openflow.ProviderKind(r.Kind), Place: r.Place, Digest: r.Digest,
		Archive: r.Archive, Dialect: openflow.Dialect(r.Dialect), AddedBy: r.AddedBy, AddedAt: timeOf(r.AddedAt),
		Interpreter: r.Interpreter, Papers: r.Papers,
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
	err := c.each(ctx, selectOffers, []any{name, version}, func(from row) error {
		r, err := offerColumns.scan(from)
		if err != nil {
			return err
		}
		one, err := decodeComponent(r)
		list = append(list, one)
		return err
	})
	return list, classify("list the components of provider "+name, err)
}

// RemoveProviders forgets providers, their components, their papers and the defaults that name them: all of them, or none. What
// they have run keeps their names. CodeConflict: runs that have not ended need one. CodeNotFound: one is not registered.
func (c *Catalogue) RemoveProviders(ctx context.Context, refs ...openflow.ProviderRef) error {
	texts := make([]string, len(refs))
	for i, ref := range refs {
		texts[i] = ref.String()
	}
	err := c.write(ctx, func(t *tx) error {
		for _, ref := range refs {
			var open int
			if err := t.one(ctx, openRuns, ref.String()+"@").Scan(&open); err != nil {
				return err
			}
			if open > 0 {
				return openflow.Errorf(openflow.CodeConflict, "provider %s is in use: runs that have not ended: %d", ref, open).
					WithHint("end their jobs or wait for them; openflow component unload --provider %s keeps new jobs from it meanwhile", ref)
			}
			known, err := forgetProvider(ctx, t, ref)
			if err == nil && !known {
				err = unknownProvider(ref.Name, ref.Version)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return classify("remove provider "+strings.Join(texts, ", "), err)
}

// forgetProvider removes all that is kept of a provider, and reports whether it was registered.
func forgetProvider(ctx context.Context, t *tx, ref openflow.ProviderRef) (bool, error) {
	n, err := t.exec(ctx, dropProvider, ref.Name, ref.Version)
	for _, query := range []string{dropOffers, dropPapers, dropDefaults} {
		if err == nil {
			_, err = t.exec(ctx, query, ref.Name, ref.Version)
		}
	}
	return n > 0, err
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
