"""o_t to text and a_t to text, deterministically; needs no model."""

from dragoman.describe.documentation import Documentation, read_documentation
from dragoman.describe.environment import EnvDescriber, describe_env
from dragoman.describe.features import Feature
from dragoman.describe.rollout import rollout
from dragoman.describe.spaces import space_writer

__all__ = [
    "Documentation",
    "EnvDescriber",
    "Feature",
    "describe_env",
    "read_documentation",
    "rollout",
    "space_writer",
]
