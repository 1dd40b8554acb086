# Gives rows to the engine of FATE's components as a table, or takes a table out. A question is a JSON object on standard input; the
# answer lies in the files that it names. The library of the engine is the provider's own.
import csv
import json
import sys

SEPARATOR = "\x1f"


def main():
    question = json.load(sys.stdin)
    from fate.arch import URI, Context
    from fate.arch.computing import ComputingBuilder
    from fate.arch.federation import FederationBuilder

    metadata = question["computing"]["metadata"]
    computing = ComputingBuilder(metadata["computing_id"]).build_standalone(
        data_dir=metadata["options"]["data_dir"], options=metadata["options"], logger_config=None
    )
    parties = question["federation"]["metadata"]["parties"]
    pair = lambda party: (party["role"], party["partyid"])
    federation = FederationBuilder(
        federation_session_id=metadata["computing_id"], party=pair(parties["local"]), parties=[pair(p) for p in parties["parties"]]
    ).build_standalone(computing_session=computing)
    ctx = Context(computing=computing, federation=federation)
    {"give": give, "take": take}[question["do"]](ctx, URI.from_string(question["uri"]), question)


def give(ctx, uri, question):
    from fate.arch.dataframe import TableReader, serialize

    fields = question["schema"]["schema_meta"]["fields"]
    names = {"sample_id": None, "match_id": None, "label": None, "weight": None}
    for field in fields:
        if field["property"] in names:
            names[field["property"]] = field["name"]
    header = [field["name"] for field in fields]
    of = {field["name"]: field["dtype"] for field in fields}
    # FATE keeps two columns of ids. Where one column is both, the sample ids get a name of their own, as FATE's upload gives it.
    while header.count(names["sample_id"]) > 1:
        names["sample_id"] = header[0] = "extend_sid" if "extend_sid" not in header else header[0] + "_sid"

    def rows():
        with open(question["rows"], newline="") as file:
            for row in csv.reader(file):
                if any(SEPARATOR in value for value in row):
                    raise SystemExit("a value has the character that separates values")
                yield row[0], SEPARATOR.join(row[1:])

    table = ctx.computing.parallelize(rows(), partition=question["partitions"], include_key=True)
    frame = TableReader(
        sample_id_name=names["sample_id"],
        match_id_name=names["match_id"],
        label_name=names["label"],
        label_type=of.get(names["label"], "int32"),
        weight_name=names["weight"],
        weight_type=of.get(names["weight"], "float32"),
        header=SEPARATOR.join(header),
        delimiter=SEPARATOR,
        dtype={f["name"]: f["dtype"] for f in fields if f["property"] == "column"},
    ).to_frame(ctx, table)
    table = serialize(ctx, frame)
    # The columns keep the names that other parties know them by.
    schema = table.schema
    known = {field["name"]: field.get("anonymous_name") for field in fields}
    for field in schema["schema_meta"]["fields"]:
        if known.get(field["name"]):
            field["anonymous_name"] = known[field["name"]]
    schema["schema_meta"]["anonymous_summary"] = question["schema"]["schema_meta"]["anonymous_summary"]
    table.save(uri=uri, schema=schema, options={"partitions": question["partitions"]})
    with open(question["answer"], "w") as file:
        json.dump(schema, file)


def take(ctx, uri, question):
    from fate.arch.dataframe import deserialize

    frame = deserialize(ctx, ctx.computing.load(uri=uri, schema=question["schema"], options={})).as_pd_df()
    with open(question["answer"], "w") as file:
        json.dump([str(name) for name in frame.columns], file)
    with open(question["rows"], "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        for row in frame.itertuples(index=False, name=None):
            out.writerow([repr(value) if isinstance(value, float) else str(value) for value in row])


main()
