"""A component in Python, made without our kit: docs/spec/algorithm-image.md is all that it knows. It needs the standard library."""
import http.client
import json
import os
import signal
import sys

NAME, PROVIDER, VERSION = "shout", "pythonic", "3.1"

DESCRIPTION = {
    "component": {
        "name": NAME, "provider": PROVIDER, "version": VERSION, "description": "says a word in capitals", "labels": [],
        "roles": ["guest", "host", "local"],
        "parameters": {
            "word": {"type": "str", "default": None, "optional": False, "description": "what is said",
                     "type_meta": {"type": "string", "title": "word"}},
            "forever": {"type": "bool", "default": False, "optional": True, "description": "it does not end by itself",
                        "type_meta": {"type": "boolean"}},
        },
        "input_artifacts": {"data": {}, "model": {}},
        "output_artifacts": {"data": {}, "model": {}, "metric": {"metric": {
            "types": ["json_metric"], "optional": False, "stages": ["default"], "roles": ["guest", "host", "local"],
            "description": "", "is_multi": False}}},
    },
    "schema_version": "v1",
}


def call(config, path, body):
    """One call to the node. Its address and the run's credential are all that leads there."""
    node = config["mlmd"]["metadata"]
    connection = http.client.HTTPConnection(node["host"], node["port"], timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["OPENFLOW_CREDENTIAL"]}
    connection.request("POST", "/v2/worker/" + path, json.dumps(body), headers)
    answer = json.loads(connection.getresponse().read())
    if answer["code"] != 0:
        raise RuntimeError(path + ": " + answer["message"])


def run():
    config = json.loads(os.environ["CONFIG"])
    execution = config["party_task_id"]

    def end(status, error=""):
        call(config, "task/status", {"execution_id": execution, "status": status, "error": error})

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the first process of a container has no handler of its own
    try:
        word = config["parameters"]["word"]
        print("shouting at", config["role"], config["party_id"], flush=True)
        while config["parameters"].get("forever"):
            signal.pause()
        call(config, "metric/save", {"execution_id": execution, "data": [{
            "name": "said", "type": "words", "groups": [{"name": "default", "index": None}], "step_axis": None,
            "data": {"word": word.upper(), "python": "%d.%d" % sys.version_info[:2], "user": os.getuid()}}]})
    except Exception as failure:
        end("failed", str(failure))
        raise
    end("success")


def main(arguments):
    if arguments == ["list"]:
        print(json.dumps({"buildin": [NAME], "thirdparty": []}))
    elif arguments == ["desc", "--name", NAME]:
        print(json.dumps(DESCRIPTION))
    elif arguments in ([], ["run"]):
        run()
    else:
        sys.exit("usage: list | desc --name NAME | run")


main(sys.argv[1:])
