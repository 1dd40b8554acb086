"""python -m fate.components component list|desc|artifact-type|execute"""
import argparse
import json
import logging.config
import os
import sys
import time
import traceback
import urllib.request

from . import COMPONENTS

PATHS = {"dataframe": "distributed", "json_model": "file", "model_directory": "directory", "json_metric": "file"}


def save(path, document):
    if path is None:
        print(json.dumps(document))
        return
    with open(path, "w") as file:
        json.dump(document, file)  # JSON is YAML


def artifact_type(name, role, stage):
    def active(of):
        return [
            {"name": key, "is_multi": a["is_multi"], "optional": a["optional"],
             "types": [{"type_name": t, "uri_types": ["file"], "path_type": PATHS[t]} for t in a["types"]]}
            for key, a in of.items() if role in a["roles"] and stage in a["stages"]
        ]

    of = COMPONENTS[name]
    return {"inputs": {k: active(v) for k, v in of["input_artifacts"].items()}, "outputs": {k: active(v) for k, v in of["output_artifacts"].items()}}


class Written:
    """An output, and what the final meta says of it."""

    def __init__(self, uri, kind, source, consumed=True, **metadata):
        self.said = {"uri": uri, "type_name": kind, "consumed": consumed, "metadata": {"metadata": {}, "source": source, **metadata}}


def overview(config):
    parties = config["conf"]["federation"]["metadata"]["parties"]["parties"]
    names = {role: [p["partyid"] for p in parties if p["role"] == role] for role in ("guest", "host", "arbiter")}
    return {
        "federated": {"task_id": config["task_id"], "parties": names,
                      "component": {"name": config["component"], "provider": "smallfate", "version": "1.0", "metadata": {}}},
        "party": {"party_task_id": config["party_task_id"], "role": config["role"], "partyid": config["party_id"],
                  "models": [{"name": "", "created_time": "2026-01-01T00:00:00", "file_format": "json", "metadata": {}}]},
    }


def post(config, record):
    """A live metric, as FATE's components send it: without any credential."""
    uri = config["output_artifacts"]["metric"]["uri"]
    request = urllib.request.Request(uri, json.dumps({"data": [record]}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        said = json.load(answer)
    if said["code"] != 0:
        logging.getLogger("fate").error("the metric was refused: %s", said)


def execute(config, meta_path):
    from ..arch import URI, Context
    from ..arch.computing import ComputingBuilder
    from ..arch.dataframe import DataFrame, deserialize, serialize
    from ..arch.federation import FederationBuilder

    trouble = config["parameters"].get("trouble") or ""
    secret = [name for name in os.environ if name in ("CONFIG", "OPENFLOW_CREDENTIAL", "FATE_TASK_CONFIG")]
    if secret:
        raise RuntimeError(f"the component is told {secret}")
    metadata = config["conf"]["computing"]["metadata"]
    computing = ComputingBuilder(metadata["computing_id"]).build_standalone(data_dir=metadata["options"]["data_dir"])
    parties = config["conf"]["federation"]["metadata"]["parties"]
    federation = FederationBuilder(
        federation_session_id=config["conf"]["federation"]["metadata"]["federation_id"],
        party=(parties["local"]["role"], parties["local"]["partyid"]), parties=[(p["role"], p["partyid"]) for p in parties["parties"]],
    ).build_standalone(computing_session=computing)
    ctx = Context(computing=computing, federation=federation)

    given = config["input_artifacts"]["input_data"]
    frame = deserialize(ctx, computing.load(URI.from_string(given["uri"]), given["metadata"]["metadata"]["schema"], {}))
    factor = float(config["parameters"].get("factor", 2.0))
    if config["input_artifacts"].get("input_model"):
        with open(URI.from_string(config["input_artifacts"]["input_model"]["uri"]).path) as file:
            factor *= json.load(file)["data"]["factor"]
    if trouble == "raise":
        raise ValueError("the row of customer 4711 is secret")
    if trouble == "forever":
        logging.getLogger("fate").info("waiting as %d", os.getpid())
        time.sleep(3600)
    if trouble == "exit":
        os._exit(7)
    scaled = frame.scaled(factor)

    def source(key, index=None):
        return {"task_id": config["task_id"], "party_task_id": config["party_task_id"], "task_name": config["task_name"],
                "component": config["component"], "output_artifact_key": key, "output_index": index}

    def put(key, frame, index=None):
        uri = config["output_artifacts"][key]["uri"].format(index=index)
        table = serialize(ctx, frame)
        if trouble != "no_table":
            table.save(uri=URI.from_string(uri), schema=table.schema, options=None)
        count = len(frame.rows) + (1 if trouble == "count" else 0)
        if trouble == "elsewhere":
            uri = "file:///etc/hostname"
        return Written(uri, "dataframe", source(key, index), metadata={"schema": table.schema}, data_overview={"count": count, "samples": frame.rows[:2]}).said

    data = {"output_data": put("output_data", scaled)}
    if trouble == "parts":
        data["parts"] = [put("parts", DataFrame(frame.fields, rows), i) for i, rows in enumerate((scaled.rows[:1], scaled.rows[1:]))]
    if trouble == "undeclared":
        data["more"] = data["output_data"]

    path = URI.from_string(config["output_artifacts"]["output_model"]["uri"]).path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if trouble == "link":
        os.symlink("/etc/hostname", path)
    else:
        with open(path, "w") as file:
            json.dump({"data": {"factor": factor, "worst": float("nan")}, "meta": {}}, file)
    model = {"output_model": Written("file://" + path, "json_model", source("output_model"), model_overview=overview(config)).said}
    folder = URI.from_string(config["output_artifacts"]["notes"]["uri"]).path
    if trouble == "notes":
        os.makedirs(os.path.join(folder, "deep"))
        for name in ("a.txt", "deep/b.txt"):
            with open(os.path.join(folder, name), "w") as file:
                file.write(name)
    model["notes"] = Written("file://" + folder, "model_directory", source("notes"), consumed=trouble == "notes", model_overview=overview(config)).said

    for step in range(2):
        post(config, {"name": "loss", "type": "loss", "groups": [{"name": "default", "index": None}], "step_axis": "iterations",
                      "data": [{"metric": [0.5 / (step + 1)], "step": step, "timestamp": 1700000000.0 + step}]})
    post(config, {"name": "summary", "type": None, "groups": [{"name": "default", "index": None}], "step_axis": None,
                  "data": {"rows": len(scaled.rows), "worst": float("nan")}})
    if trouble == "bad_metric":
        post(config, {"name": 7, "data": "no record"})
    if trouble == "no_meta":
        return
    uri = config["output_artifacts"]["metric"]["uri"]
    meta = {"status": {"code": 0}, "io_meta": {"inputs": {"data": {}, "model": {}}, "outputs": {
        "data": data, "model": model, "metric": {"metric": Written(uri, "json_metric", source("metric")).said}}}}
    with open(meta_path, "w") as file:
        file.write("{" if trouble == "broken_meta" else json.dumps(meta))
    if trouble == "late":
        sys.exit(3)


def main():
    parser = argparse.ArgumentParser(prog="python -m fate.components")
    component = parser.add_subparsers(required=True).add_parser("component").add_subparsers(dest="do", required=True)
    one = component.add_parser("list")
    one.add_argument("--save")
    one = component.add_parser("desc")
    one.add_argument("--name", required=True, choices=list(COMPONENTS))
    one.add_argument("--save")
    one = component.add_parser("artifact-type")
    for option in ("--name", "--role", "--stage"):
        one.add_argument(option, required=True)
    one.add_argument("--output-path")
    one = component.add_parser("execute")
    one.add_argument("--config", required=True)
    one.add_argument("--execution-final-meta-path", required=True)
    said = parser.parse_args()
    if said.do == "list":
        save(said.save, {"buildin": [], "thirdparty": list(COMPONENTS)})
    elif said.do == "desc":
        save(said.save, {"component": COMPONENTS[said.name], "schema_version": "v1"})
    elif said.do == "artifact-type":
        save(said.output_path, artifact_type(said.name, said.role, said.stage))
    else:
        with open(said.config) as file:
            config = json.load(file)
        logging.config.dictConfig(config["conf"]["logger"]["config"])
        logging.getLogger("fate").info("running %s", config["component"])
        try:
            execute(config, said.execution_final_meta_path)
        except Exception:
            with open(said.execution_final_meta_path, "w") as file:
                json.dump({"status": {"code": -1, "exceptions": traceback.format_exc()}}, file)
            raise


main()
