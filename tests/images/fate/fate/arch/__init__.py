"""The part of FATE's library by which tables of its engine are read and written, over a store of this provider's own."""


class URI:
    def __init__(self, text):
        self.scheme, _, rest = text.partition("://")
        self.path = rest

    @classmethod
    def from_string(cls, text):
        return cls(text)

    def path_splits(self):
        return self.path.lstrip("/").split("/")


class Context:
    def __init__(self, computing=None, federation=None):
        self.computing, self.federation = computing, federation
