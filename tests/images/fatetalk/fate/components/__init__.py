"""The component of the provider."""
ROLES = ["guest", "host"]

TALK = {
    "name": "talk", "description": "has each party send messages to every other, and read theirs", "provider": "talkfate", "version": "1.0", "labels": [],
    "roles": ROLES,
    "parameters": {key: {"type": "int", "default": default, "optional": True, "description": "", "type_meta": {"title": key, "type": "integer", "default": default}}
                   for key, default in (("messages", 3), ("size", 1000))} | {
        "trouble": {"type": "str", "default": "", "optional": True, "description": "", "type_meta": {"title": "trouble", "type": "string", "default": ""}}},
    "input_artifacts": {"data": {}, "model": {}},
    "output_artifacts": {"data": {}, "model": {}, "metric": {
        "metric": {"types": ["json_metric"], "optional": False, "stages": ["default"], "roles": ROLES, "description": "", "is_multi": False}}},
}
COMPONENTS = {"talk": TALK}
