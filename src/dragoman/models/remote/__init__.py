"""Language models behind OpenAI-compatible servers."""

from dragoman.models.remote.budget import Budget, Spend
from dragoman.models.remote.model import RemoteModel
from dragoman.models.remote.questions import ServerFeatures
from dragoman.models.remote.server import Connection

__all__ = ["Budget", "Connection", "RemoteModel", "ServerFeatures", "Spend"]
