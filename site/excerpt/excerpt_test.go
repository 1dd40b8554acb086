package excerpt_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/tables"
	"openflow/site/excerpt"
	"openflow/store/objects"
	"openflow/store/objects/folder"
)

func table(t *testing.T, store *folder.Store, csv, meta string) openflow.TableRecord {
	t.Helper()
	m, err := tables.ParseMeta([]byte(meta))
	require.NoError(t, err)
	var content bytes.Buffer
	s, err := tables.FromCSV(t.Context(), strings.NewReader(csv), m, &content)
	require.NoError(t, err)
	ref, err := store.Put(t.Context(), &content)
	require.NoError(t, err)
	of, err := s.Schema.DataMeta()
	require.NoError(t, err)
	return openflow.TableRecord{
		Name: openflow.TableName{Namespace: "ns", Name: "t"}, Object: ref.Digest, Bytes: ref.Bytes, Count: int64(s.Rows),
		DataType: "dataframe", Meta: of, Header: s.Schema.Names(),
	}
}

func rows(t *testing.T, store *folder.Store, rec openflow.TableRecord) string {
	t.Helper()
	content, _, err := store.Get(t.Context(), rec.Object, 0)
	require.NoError(t, err)
	defer content.Close()
	var csv strings.Builder
	_, err = tables.ToCSV(t.Context(), &csv, content)
	require.NoError(t, err)
	return csv.String()
}

// What a grant does not give is neither in the rows nor in what is told of the table.
func TestCut(t *testing.T) {
	const csv = "id,y,x0,salary,x1\na,1,0.5,9000,7\nb,0,0.25,8000,8\n"
	for name, tc := range map[string]struct {
		columns []string
		meta    string
		want    string
	}{
		"features":             {[]string{"id", "x0", "x1"}, `{"match_id_name":"id","label_name":"y"}`, "sample_id,id,x0,x1\na,a,0.5,7.0\nb,b,0.25,8.0\n"},
		"label too":            {[]string{"id", "y"}, `{"match_id_name":"id","label_name":"y"}`, "sample_id,id,y\na,a,1\nb,b,0\n"},
		"ids only":             {[]string{"id"}, `{"match_id_name":"id"}`, "sample_id,id\na,a\nb,b\n"},
		"other sample ids":     {[]string{"id", "x0"}, `{"match_id_name":"id","sample_id_name":"salary"}`, "salary,id,x0\nrow 1,a,0.5\nrow 2,b,0.25\n"},
		"a column that is not": {[]string{"id", "x0", "none"}, `{"match_id_name":"id"}`, "sample_id,id,x0\na,a,0.5\nb,b,0.25\n"},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := folder.Open(t.TempDir())
			require.NoError(t, err)
			whole := table(t, store, csv, tc.meta)
			c := excerpt.New(store)
			part, err := c.Cut(t.Context(), whole, tc.columns)
			require.NoError(t, err)
			require.Equal(t, tc.want, rows(t, store, part))
			require.Equal(t, strings.Split(strings.SplitN(tc.want, "\n", 2)[0], ","), part.Header)
			require.NotContains(t, string(part.Meta), "x3", "anonymous names do not tell how many columns there are")
			require.NotContains(t, string(part.Samples), "9000")
			again, err := c.Cut(t.Context(), whole, tc.columns)
			require.NoError(t, err)
			require.Equal(t, part, again, "equal parts are one object")
		})
	}
}

func TestCutRefuses(t *testing.T) {
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	c := excerpt.New(store)
	ref, err := store.Put(t.Context(), strings.NewReader("no table"))
	require.NoError(t, err)
	name := openflow.TableName{Namespace: "ns", Name: "t"}
	for says, rec := range map[string]openflow.TableRecord{
		"found by column id": table(t, store, "id,x0\na,1\n", `{"match_id_name":"id"}`),
		"kept elsewhere":     {Name: name, URI: "hdfs://far"},
		"no table":           {Name: name, Object: ref.Digest},
	} {
		_, err := c.Cut(t.Context(), rec, []string{"x0"})
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
		require.ErrorContains(t, err, says)
		require.NotContains(t, openflow.ForPartners(err).Error(), "column", "what the table has stays at home")
	}
}

// counting is a store that counts what is put, and holds it up.
type counting struct {
	*folder.Store
	puts atomic.Int32
	hold chan struct{}
}

func (c *counting) Put(ctx context.Context, r io.Reader) (objects.Ref, error) {
	c.puts.Add(1)
	<-c.hold
	return c.Store.Put(ctx, r)
}

// A part is made once, however many ask for it at a time or later, until its rows are gone.
func TestOnePartIsMadeOnce(t *testing.T) {
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	whole := table(t, store, "id,x0\na,1\n", `{"match_id_name":"id"}`)
	held := &counting{Store: store, hold: make(chan struct{})}
	c := excerpt.New(held)
	parts := make([]openflow.TableRecord, 8)
	var all sync.WaitGroup
	for i := range parts {
		all.Go(func() {
			part, err := c.Cut(t.Context(), whole, []string{"id"})
			require.NoError(t, err)
			parts[i] = part
		})
	}
	close(held.hold)
	all.Wait()
	for _, p := range parts {
		require.Equal(t, parts[0], p)
	}
	require.EqualValues(t, 1, held.puts.Load())
	other := whole
	other.Name.Name = "other"
	part, err := c.Cut(t.Context(), other, []string{"id"})
	require.NoError(t, err)
	require.Equal(t, other.Name, part.Name, "equal rows of another name")
	require.EqualValues(t, 1, held.puts.Load())
	there, err := c.Has(t.Context(), part.Object)
	require.NoError(t, err)
	require.True(t, there)
	require.NoError(t, store.Delete(t.Context(), part.Object))
	there, err = c.Has(t.Context(), part.Object)
	require.NoError(t, err)
	require.False(t, there)
	_, err = c.Cut(t.Context(), whole, []string{"id"})
	require.NoError(t, err)
	require.EqualValues(t, 2, held.puts.Load())
	_, err = store.Stat(t.Context(), part.Object)
	require.NoError(t, err)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Cut(gone, whole, []string{"x0", "id"})
	if err != nil { // who made it has gone: the next one does
		_, err = c.Cut(t.Context(), whole, []string{"x0", "id"})
	}
	require.NoError(t, err)
}

// What is told of a part before it is made is what is told of it then.
func TestOutline(t *testing.T) {
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	whole := table(t, store, "id,y,x0,salary\na,1,0.5,9000\n", `{"match_id_name":"id","label_name":"y"}`)
	c := excerpt.New(store)
	told, err := c.Outline(t.Context(), whole, []string{"id", "x0"})
	require.NoError(t, err)
	require.Empty(t, told.Object)
	part, err := c.Cut(t.Context(), whole, []string{"id", "x0"})
	require.NoError(t, err)
	require.Equal(t, part.Header, told.Header)
	require.JSONEq(t, string(part.Meta), string(told.Meta))
	_, err = c.Outline(t.Context(), whole, []string{"x0"})
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))

	require.NoError(t, c.Check(t.Context(), whole, []string{"id", "salary"}))
	for says, columns := range map[string][]string{`no column "celery" (it has: id, salary, sample_id, x0, y)`: {"id", "celery"}, "found by column id": {"x0"}} {
		err := c.Check(t.Context(), whole, columns)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.ErrorContains(t, err, says)
	}
}
