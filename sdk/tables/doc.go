// Package tables is the form of data tables on a node: a schema of ids, label, weight and features, rows as an Arrow
// IPC stream, and CSV on the way in and out.
//
// A table is read and written as a stream of bounded batches, so a node moves ten million rows in constant memory; an
// algorithm that wants everything at once asks for one [Frame]. The package knows no catalogue, no HTTP and no folders:
// it turns readers into rows and rows into writers.
//
// On disk and on the wire a table is an uncompressed Arrow IPC stream with plain columns in the order of [Schema]. They
// are utf8 for ids and text, and int32, int64, float32, float64 and bool for the rest. Nulls are in float columns only,
// where they read as NaN. The metadata of its Arrow schema has the key data_meta with [Schema.DataMeta]. It must end
// with the end mark.
//
// Start at [Schema] (which columns a table has), then [Frame] (rows, column by column), [Reader] and [Writer] (the
// Arrow stream), and [FromCSV] and [ToCSV].
package tables
