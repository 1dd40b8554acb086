package embedded

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/serialization"
	persistencesql "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/common/searchattribute/sadefs"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"

	"openflow"
)

// ensureNamespace makes the namespace, or brings retention and search attributes of an existing one up to date. It
// works on the stored record before the server starts: through the server's API, changes reach its caches seconds
// later, and until then it would refuse workflows that carry a new attribute. Errors: CodeInvalid (more attributes than
// columns), CodeConflict (an attribute has another type), CodeInternal.
func (o Options) ensureNamespace(ctx context.Context) error {
	serializer := serialization.NewSerializer()
	logger := log.NewNoopLogger()
	factory := persistencesql.NewFactory(*o.store(), resolver.NewNoopResolver(), clusterName, logger,
		metrics.NoopMetricsHandler, serializer)
	defer factory.Close()
	store, err := factory.NewMetadataStore()
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "namespaces of %s: %w", o.place(), err)
	}
	manager := persistence.NewMetadataManagerImpl(store, serializer, logger, clusterName)
	defer manager.Close()

	got, err := manager.GetNamespace(ctx, &persistence.GetNamespaceRequest{Name: o.Namespace})
	var missing *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &missing):
		return o.createNamespace(ctx, manager)
	case err != nil:
		return openflow.Errorf(openflow.CodeInternal, "namespace %q: %w", o.Namespace, err)
	}
	return o.updateNamespace(ctx, manager, got)
}

func (o Options) createNamespace(ctx context.Context, manager persistence.MetadataManager) error {
	ns, err := sqliteschema.NewNamespaceConfig(clusterName, o.Namespace, false, nil)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "namespace %q: %w", o.Namespace, err)
	}
	if _, err := o.applyTo(ns.Detail.Config); err != nil {
		return err
	}
	_, err = manager.CreateNamespace(ctx, &persistence.CreateNamespaceRequest{Namespace: ns.Detail})
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "namespace %q: %w", o.Namespace, err)
	}
	return nil
}

func (o Options) updateNamespace(
	ctx context.Context, manager persistence.MetadataManager, got *persistence.GetNamespaceResponse,
) error {
	changed, err := o.applyTo(got.Namespace.Config)
	if err != nil || !changed {
		return err
	}
	meta, err := manager.GetMetadata(ctx)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "namespace %q: %w", o.Namespace, err)
	}
	got.Namespace.ConfigVersion++
	err = manager.UpdateNamespace(ctx, &persistence.UpdateNamespaceRequest{
		Namespace: got.Namespace, IsGlobalNamespace: got.IsGlobalNamespace, NotificationVersion: meta.NotificationVersion,
	})
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "namespace %q: %w", o.Namespace, err)
	}
	return nil
}

// applyTo writes retention and search attributes into a namespace's configuration and reports whether that changed it.
func (o Options) applyTo(c *persistencespb.NamespaceConfig) (changed bool, err error) {
	aliases, err := assignColumns(c.GetCustomSearchAttributeAliases(), o.SearchAttributes)
	if err != nil {
		return false, err
	}
	changed = c.GetRetention().AsDuration().Truncate(time.Millisecond) != o.Retention.Truncate(time.Millisecond) ||
		!maps.Equal(aliases, c.GetCustomSearchAttributeAliases())
	c.Retention, c.CustomSearchAttributeAliases = durationpb.New(o.Retention), aliases
	return changed, nil
}

// assignColumns returns aliases (column to attribute) with the wanted attributes added, each on the first free column
// of its type.
func assignColumns(aliases map[string]string, wanted map[string]enumspb.IndexedValueType) (map[string]string, error) {
	columns := sadefs.GetDBIndexSearchAttributes(nil).GetCustomSearchAttributes()
	out := maps.Clone(aliases)
	if out == nil {
		out = map[string]string{}
	}
	columnOf := map[string]string{}
	for column, name := range out {
		columnOf[name] = column
	}
	names := slices.Sorted(maps.Keys(columns))
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		typ := wanted[name]
		if column, ok := columnOf[name]; ok {
			if columns[column] != typ {
				return nil, openflow.Errorf(openflow.CodeConflict, "search attribute %q is %s and cannot become %s",
					name, columns[column], typ).WithHint("give the attribute of another type another name")
			}
			continue
		}
		i := slices.IndexFunc(names, func(column string) bool { return columns[column] == typ && out[column] == "" })
		if i < 0 {
			return nil, openflow.Errorf(openflow.CodeInvalid, "search attribute %q: no column of type %s is free", name, typ)
		}
		out[names[i]] = name
	}
	return out, nil
}
