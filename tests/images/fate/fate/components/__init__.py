"""The components of the provider."""
PROVIDER, VERSION = "smallfate", "1.0"
ROLES = ["guest", "host", "local"]


def artifact(kind, optional=False, multi=False, stages=("default",)):
    return {"types": [kind], "optional": optional, "stages": list(stages), "roles": ROLES, "description": "", "is_multi": multi}


def parameter(kind, default, optional, schema):
    return {"type": kind, "default": default, "optional": optional, "description": "", "type_meta": {"title": kind, "type": schema, "default": default}}


SCALE = {
    "name": "scale", "description": "multiplies each number of a table", "provider": PROVIDER, "version": VERSION, "labels": [], "roles": ROLES,
    "parameters": {
        "factor": parameter("float", 2.0, True, "number"),
        "trouble": parameter("str", "", True, "string"),
    },
    "input_artifacts": {
        "data": {"input_data": artifact("dataframe")},
        "model": {"input_model": artifact("json_model", optional=True)},
    },
    "output_artifacts": {
        "data": {"output_data": artifact("dataframe"), "parts": artifact("dataframe", optional=True, multi=True)},
        "model": {"output_model": artifact("json_model"), "notes": artifact("model_directory", optional=True)},
        "metric": {"metric": artifact("json_metric")},
    },
}
COMPONENTS = {"scale": SCALE}
