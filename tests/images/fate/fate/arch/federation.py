"""Who takes part. Nobody is talked to."""


class FederationBuilder:
    def __init__(self, federation_session_id, party, parties):
        self.id, self.local_party, self.parties = federation_session_id, party, parties

    def build_standalone(self, computing_session):
        return self
