// Package tables is the form of data tables on a node: a schema of ids, label, weight and features, rows as an Arrow
// IPC stream, and CSV on the way in and out.
//
// A table is read and written as a stream of bounded batches, so a node moves ten million rows in constant memory; an
// algorithm that wants everything at once asks for one [Frame]. The package knows no catalogue, no HTTP and no folders:
// it turns readers into rows and rows into writers.
//
// Start at [Schema] (which columns a table has), then [Frame] (rows, column by column), [Reader] and [Writer] (the
// Arrow stream), and [FromCSV] and [ToCSV].
package tables
