"""The one HTTP client of obs: what the UI and the command line ask of a running server.

Standard library only, cheap to import. In: a base URL and calls by protocol. Out: plain JSON values and `QueryResult`.
"""

from obs.client.client import ObsClient
from obs.client.results import QueryResult
from obs.client.transport import ClientError

__all__ = ["ClientError", "ObsClient", "QueryResult"]
