"""A store of tables: one file of pickled pairs for each, below a folder."""
import os
import pickle


class ComputingBuilder:
    def __init__(self, computing_session_id):
        self.id = computing_session_id

    def build_standalone(self, data_dir, options=None, logger_config=None):
        return Session(data_dir)


class Session:
    def __init__(self, data_dir):
        self.data_dir = data_dir

    def parallelize(self, data, partition=None, include_key=True):
        return Table(self, list(data))

    def load(self, uri, schema, options=None):
        with open(where(self, uri), "rb") as file:
            return Table(self, pickle.load(file), schema)


def where(session, uri):
    *_, namespace, name = uri.path_splits()
    return os.path.join(session.data_dir, namespace, name + ".rows")


class Table:
    def __init__(self, session, pairs, schema=None):
        self.session, self.pairs, self.schema = session, pairs, schema

    def save(self, uri, schema, options=None):
        if uri.scheme != "standalone":
            raise ValueError(f"uri scheme `{uri.scheme}` not supported")
        path = where(self.session, uri)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            pickle.dump(self.pairs, file)
