"""python -m fate.components component list|desc|artifact-type|execute"""
import argparse
import json
import logging.config
import traceback
import urllib.request

from . import COMPONENTS


def save(path, document):
    if path is None:
        print(json.dumps(document))
        return
    with open(path, "w") as file:
        json.dump(document, file)  # JSON is YAML


def federation(conf, party):
    of = conf["metadata"]
    if conf["type"] == "osx":
        from ..arch import osx
        return osx.Federation(of["federation_id"], party, of["osx_config"])
    if conf["type"] == "rabbitmq":
        from ..arch import rabbitmq
        return rabbitmq.Federation(of["federation_id"], party, of["rabbitmq_config"], of["route_table"])
    raise ValueError(f"federation by {conf['type']}")


def payload(sender, i, size):
    return (f"{sender} {i} ".encode() * size)[:size]


def talk(config):
    """Each sends to all, then reads of all, and then they clean up once everybody has read."""
    conf = config["conf"]["federation"]
    parties = [(p["role"], p["partyid"]) for p in conf["metadata"]["parties"]["parties"]]
    party = (config["role"], config["party_id"])
    others = [p for p in parties if p != party]
    n, size = config["parameters"].get("messages", 3), config["parameters"].get("size", 1000)
    engine = federation(conf, party)
    for i in range(n):
        for other in others:
            engine.push(payload(party, i, size), "rows", str(i), other)
    for other in others:
        for i in range(n):
            got = engine.pull("rows", str(i), other)
            if got != payload(other, i, size):
                raise ValueError(f"message {i} of {other} has {len(got)} bytes that are others")
    for other in others:
        engine.push(b"", "over", "0", other)
    for other in others:
        engine.pull("over", "0", other)
    if conf["type"] == "osx":
        engine.destroy()
    elif party == min(parties) or conf["metadata"]["rabbitmq_config"]["mode"] == "replication":
        engine.destroy()
    logging.getLogger("fate").info("by %s, %d messages of %d bytes of each of %s", conf["type"], n, size, others)
    return n * len(others)


def wander(config):
    """What a component would like of the broker of its site, and must not get. The answers are the component's log."""
    import requests
    conf = config["conf"]["federation"]["metadata"]
    at, session = conf["rabbitmq_config"], conf["federation_id"]
    for method, path in (("GET", "overview"), ("GET", "connections"), ("PUT", "users/admin"), ("PUT", "vhosts/other"), ("PUT", f"users/{session}")):
        answer = requests.request(method, f"http://{at['host']}:{at['mng_port']}/api/{path}", json={"password": "x", "tags": "administrator"}, timeout=60)
        logging.getLogger("fate").info("WANDER %s %s %s", method, path.replace(session, "SESSION"), "in" if answer.status_code in (201, 204) else "out")
    import pika
    for user, vhost in (("site", "/"), (session, "/"), ("guest", "/")):
        try:
            pika.BlockingConnection(pika.ConnectionParameters(host=at["host"], port=at["port"], virtual_host=vhost, credentials=pika.PlainCredentials(user, session)))
            logging.getLogger("fate").info("WANDER open %s in", vhost)
        except Exception:
            logging.getLogger("fate").info("WANDER open %s out", vhost)
    return 0


def execute(config, meta_path):
    count = wander(config) if config["parameters"].get("trouble") == "wander" else talk(config)
    uri = config["output_artifacts"]["metric"]["uri"]
    record = {"name": "talk", "type": None, "groups": [{"name": "default", "index": None}], "step_axis": None, "data": {"messages": count}}
    urllib.request.urlopen(urllib.request.Request(uri, json.dumps({"data": [record]}).encode(), {"Content-Type": "application/json"}), timeout=60).close()
    source = {"task_id": config["task_id"], "party_task_id": config["party_task_id"], "task_name": config["task_name"], "component": config["component"],
              "output_artifact_key": "metric", "output_index": None}
    metric = {"uri": uri, "type_name": "json_metric", "consumed": True, "metadata": {"metadata": {}, "source": source}}
    save(meta_path, {"status": {"code": 0}, "io_meta": {"inputs": {"data": {}, "model": {}}, "outputs": {"data": {}, "model": {}, "metric": {"metric": metric}}}})


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
        metric = {"name": "metric", "is_multi": False, "optional": False, "types": [{"type_name": "json_metric", "uri_types": ["file"], "path_type": "file"}]}
        save(said.output_path, {"inputs": {"data": [], "model": []}, "outputs": {"data": [], "model": [], "metric": [metric]}})
    else:
        with open(said.config) as file:
            config = json.load(file)
        logging.config.dictConfig(config["conf"]["logger"]["config"])
        try:
            execute(config, said.execution_final_meta_path)
        except Exception:
            save(said.execution_final_meta_path, {"status": {"code": -1, "exceptions": traceback.format_exc()}})
            raise


main()
