package users

import (
	"net/http"

	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/store/catalogue"
)

// listTables lists the tables that people have put here.
func (a *api) listTables(r *http.Request) (any, error) {
	list, err := a.Catalogue.TableList(r.Context(), catalogue.TableFilter{
		Namespace: r.URL.Query().Get("namespace"), SkipIntermediate: true, Limit: application.PageLimit,
	})
	out := make([]wire.TableInfo, 0, len(list))
	for _, rec := range list {
		out = append(out, wire.EncodeTable(rec, application.TableAddress(rec.Name)))
	}
	return out, err
}
