"""Tables with typed columns."""
READ = {"int32": int, "int64": int, "float32": float, "float64": float, "bool": lambda text: text in ("True", "true", "1")}


class DataFrame:
    """Rows of values in the order of the fields."""

    def __init__(self, fields, rows):
        self.fields, self.rows = fields, rows

    def scaled(self, factor):
        numbers = [f["property"] == "column" and f["dtype"].startswith("float") for f in self.fields]
        return DataFrame(self.fields, [[v * factor if n else v for v, n in zip(row, numbers)] for row in self.rows])

    def as_pd_df(self):
        return self

    @property
    def columns(self):
        return [f["name"] for f in self.fields]

    def itertuples(self, index, name):
        return (tuple(row) for row in self.rows)


class TableReader:
    def __init__(self, sample_id_name, match_id_name, header, delimiter, dtype, label_name=None, label_type=None, weight_name=None, weight_type=None):
        self.names, self.delimiter = header.split(delimiter), delimiter
        of = {sample_id_name: ("sample_id", "index"), match_id_name: ("match_id", "index"), label_name: ("label", label_type), weight_name: ("weight", weight_type)}
        self.fields = []
        for name in self.names:
            kind, dtype_of = of.get(name, ("column", dtype.get(name)))
            self.fields.append({"property": kind, "name": name, "dtype": dtype_of, "should_compress": False})

    def to_frame(self, ctx, table):
        read = [READ.get(f["dtype"], str) for f in self.fields]
        return DataFrame(self.fields, [[r(v) for r, v in zip(read, [key, *value.split(self.delimiter)])] for key, value in table.pairs])


def serialize(ctx, frame):
    table = ctx.computing.parallelize((row[0], row[1:]) for row in frame.rows)
    summary = {"column_len": sum(f["property"] == "column" for f in frame.fields), "site_name": None}
    table.schema = {"type": "fate.arch.dataframe", "partition_order_mappings": {}, "schema_meta": {"fields": frame.fields, "anonymous_summary": summary}}
    return table


def deserialize(ctx, table):
    return DataFrame(table.schema["schema_meta"]["fields"], [[key, *values] for key, values in table.pairs])
