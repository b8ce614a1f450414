"""Public fakes and conformance checks, for your tests as for ours. Needs neither torch nor a model.

The checks raise ``AssertionError`` with an explanation, so they read well inside a test:

>>> check_model(ScriptedModel(lambda text: [len(text), text.count("a")]))
"""

from dragoman.testing.describers import check_describer
from dragoman.testing.models import TEXTS, ScriptedModel, check_model
from dragoman.testing.rewards import check_reward
from dragoman.testing.tasks import check_task

__all__ = [
    "TEXTS",
    "ScriptedModel",
    "check_describer",
    "check_model",
    "check_reward",
    "check_task",
]
