from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe import describe_env
from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError, SpaceError
from dragoman.roles.act.observer import OptionsObserver
from dragoman.roles.act.settings import Act
from dragoman.roles.observe.observer import Observer
from dragoman.roles.observe.raw import RawState
from dragoman.roles.observe.settings import Observe
from dragoman.testing import ScriptedModel
from tests.moments import moments
from tests.text_tasks import Lamps, bag_of_words, says_the_colour

PLAIN = Observe(standardise=False)
TEXTS = ["press red", "", "press blue", ""]
INFO = {"action_texts": TEXTS, "action_mask": np.array([1, 0, 1, 0], np.int8)}


def model() -> ScriptedModel:
    return ScriptedModel(bag_of_words, log_probs=says_the_colour)


def make(settings: Act, observe: Observe = PLAIN, **changes: Any) -> OptionsObserver:
    env, asked = Lamps(), changes.pop("model", model())
    state = Observer(asked, observe, env.observation_space)
    return OptionsObserver(settings, observe, state, env.action_space, model=asked, **changes)


def lamps(observations: list[Any], infos: list[dict[str, Any]]) -> list[Moment]:
    return moments(observations, infos, Lamps())


def test_a_match_sees_features_of_the_admissible_actions() -> None:
    observer = make(Act("match"))
    seen = observer(lamps(["lamp red", "over"], [INFO, {"action_texts": [""] * 4}]))
    assert set(seen) == {"state", "mask", "actions"}
    assert seen["mask"].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]
    assert seen["actions"][0].tolist() == [[1, 0, 0, 0, 2], [0] * 5, [0, 0, 1, 0, 2], [0] * 5]
    assert not seen["actions"][1].any()
    assert seen["state"].shape == (2, 10)
    for key, space in observer.feature_space.spaces.items():
        assert seen[key].dtype == space.dtype
        assert space.contains(seen[key][0])


def test_scores_stand_at_their_actions() -> None:
    asked = ScriptedModel(bag_of_words, log_probs=lambda p, c: [-len(p), -len(c)])
    seen = make(Act("score", normalisation="sum", question="So:"), model=asked)(
        lamps(["lamp"], [INFO])
    )
    # "lamp" comes to the prompt "'lamp'\nSo:" by whatever words the describer gives it.
    prompt = len(describe_env(Lamps()).observation("lamp", {})) + len("\nSo:")
    assert seen["scores"].tolist() == [[-prompt - len(" press red"), 0, -prompt - 11, 0]]
    lamp = lamps(["lamp"], [INFO])
    halved = make(Act("score", question="So:"), model=asked)(lamp)
    np.testing.assert_allclose(halved["scores"], seen["scores"] / 2)
    rest = make(Act("score", question="So:", domain="ab"), model=asked)(lamp)
    assert rest["scores"].tolist() == [[(2 - prompt) / 2, 0, (2 - prompt) / 2, 0]]


def test_calibrated_scores_are_what_is_above_the_mean_of_their_action() -> None:
    asked = ScriptedModel(bag_of_words, log_probs=lambda p, c: [float("blue" in p) * len(c)])
    settings = Act("hybrid", normalisation="sum", question="So:", calibrate=True)
    observer, again = make(settings, model=asked), make(settings, model=asked)
    assert observer.learning
    pair = lamps(["lamp red", "lamp blue"], [INFO, INFO])
    half = len(" press red") / 2
    observer.learn(pair)
    observer.learning = False
    expected = [[-half, 0, -half - 0.5, 0], [half, 0, half + 0.5, 0]]
    assert observer(pair)["scores"].tolist() == expected
    again.load_state(observer.state())
    again.learning = False
    assert again(pair[:1])["scores"].tolist() == expected[:1]


def test_a_uniform_prior_asks_nothing() -> None:
    asked = model()
    seen = make(Act("score", scores="uniform"), model=asked)(lamps(["lamp red"], [INFO]))
    assert not seen["scores"].any()


def test_shuffled_texts_are_all_wrong_and_stay_so() -> None:
    (full,) = lamps([""], [{"action_texts": ["a", "b", "c", "d"]}])
    (some,) = lamps([""], [INFO])
    result = []
    for seed in range(20):
        observer = make(Act("match", texts="shuffled"), seed=seed)
        given = observer.actions.texts(full)
        assert sorted(given.values()) == ["a", "b", "c", "d"]
        assert all(given[i] != text for i, text in enumerate("abcd"))
        assert observer.actions.texts(full) == given
        result.append(tuple(given[i] for i in range(4)))
        # Whatever is valid: another valid action's text.
        assert observer.actions.texts(some) == {
            0: TEXTS[2],
            2: TEXTS[0],
        }
    assert len(set(result)) > 2


def test_without_words_of_the_environment_the_describer_names_actions() -> None:
    env = gym.make("CartPole-v1")
    asked = ScriptedModel(lambda text: [float("left" in text), float("right" in text)])
    observer = OptionsObserver(
        Act("match"), PLAIN, RawState(env.observation_space), env.action_space, model=asked,
    )  # fmt: skip
    seen = observer(moments([np.arange(4.0)], env=env))
    assert seen["state"].tolist() == [[0, 1, 2, 3]]
    assert seen["mask"].tolist() == [[1, 1]]
    assert seen["actions"].tolist() == [[[1, 0], [0, 1]]]


def test_distinct_texts_standardise_actions_and_stand_still_in_evaluation() -> None:
    observer = make(Act("match"), Observe())
    for _ in range(3):
        observer(lamps(["lamp red"], [INFO]))
    # Two texts, each once: mean and deviation 0.5 where they differ.
    seen = observer(lamps(["lamp red"], [INFO]))["actions"][0]
    np.testing.assert_allclose(seen[0, :3], [1, 0, -1], atol=1e-3)
    observer.learning = False
    other = {"action_texts": ["press green", "", "", ""]}
    np.testing.assert_allclose(observer(lamps(["x"], [other]))["actions"][0, 0, 1], 10)
    fresh = make(Act("match"), Observe())
    fresh.load_state(observer.state())
    fresh.learning = False
    got, expected = (o(lamps(["lamp red"], [INFO])) for o in (fresh, observer))
    for key in expected:
        np.testing.assert_array_equal(got[key], expected[key])


def test_what_does_not_fit_says_so() -> None:
    observer = make(Act("match"))
    with pytest.raises(SpaceError, match=r"'action_mask'\] has shape \(3,\), but there are 4"):
        observer(lamps(["x"], [{"action_mask": [1, 1, 1]}]))
    with pytest.raises(SpaceError, match="action 1 is valid, but its text is empty"):
        observer(lamps(["x"], [{"action_mask": [1, 1, 0, 0], "action_texts": TEXTS}]))
    with pytest.raises(SpaceError, match="has 1 texts for 4 actions"):
        observer(lamps(["x"], [{"action_mask": [1, 1, 0, 0], "action_texts": ["a"]}]))
    with pytest.raises(ConfigError, match=r"holds neither numbers nor a text"):
        RawState(gym.spaces.Space())
    env = gym.make("Pendulum-v1")
    with pytest.raises(ConfigError, match="'score' cannot choose in Box") as error:
        OptionsObserver(
            Act("score"), PLAIN, RawState(env.observation_space), env.action_space, model=model(),
        )  # fmt: skip
    assert "policy 'head'" in error.value.cure
