"""What a comparison's report says, in words, from what ``results.json`` says in numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from dragoman.comparison.folder import Progress
from dragoman.phrases import listed
from dragoman.stats.bootstrap import Interval, number

NO_VERDICT = "no verdict yet"

SIGNS = {"helped": "▲", "hurt": "▼", "no evidence": "●", NO_VERDICT: "○"}
"""What is printed with a verdict's colour, for those who do not see it."""

NOTHING = "\u2013"
"""What is printed where there is no number: a dash."""

OUTCOMES = {
    "helped": "helped",
    "hurt": "hurt",
    "no evidence": "no evidence that it helps",
    NO_VERDICT: "no verdict yet",
}

PLAYED = {"greedy": "the likeliest action each time", "sampled": "actions drawn from the policy"}

STATES = get_args(Progress)
ENDED = ("finished", "failed")

COST_COLUMNS = {
    "steps": "steps",
    "seconds": "seconds",
    "model_seconds": "of these in the model",
    "texts": "texts asked",
    "texts_remembered": "from the cache",
    "texts_from_disk": "of these of earlier runs",
    "tokens": "tokens",
    "gigaflops": "GFLOP",
}


def contents(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the report says of results, as the templates name it."""
    arms = [{"name": name, **arm} for name, arm in results["arms"].items()]
    judged = [arm for arm in arms if arm["verdict"]]
    kept = ("name", "env", "steps", "budget", "episodes", "window", "versions", "sample")
    other = "greedy" if results["judged"] == "sampled" else "sampled"
    return {
        **{key: results[key] for key in kept},
        "algorithm": results["algorithm"].upper(),
        "seeds": len(results["seeds"]),
        "dates": days(results["dates"]),
        "headline": headline(arms),
        "progress": progress(arms),
        "verdicts": [_verdict(arm["name"], arm["verdict"]) for arm in judged],
        "how": PLAYED[results["judged"]],
        "other": other,
        "scores": [_score(arm, other) for arm in arms],
        "random": None if results["random"] is None else shown(results["random"]),
        "best": shown(best) if (best := results["reference"]["best_known"]) is not None else None,
        "best_source": results["reference"]["source"],
        "shifts": [
            {
                "name": name,
                "changes": _setting(shift["changes"]),
                "random": shown(shift["random"]),
                "rows": [
                    (arm["name"], _interval(said["mean"]), _interval(said["change"]))
                    for arm in arms
                    if (said := arm["shifts"].get(name))
                ],
            }
            for name, shift in results["shifts"].items()
        ],
        "threshold": shown(results["threshold"]),
        "speeds": [_speed(arm) for arm in arms if arm["speed"]],
        "saved": [
            (arm["name"], item["against"], _interval(item["difference"]), f"{item['adjusted']:.2g}")
            for arm in judged
            if arm["speed"]
            for item in arm["speed"]["saved"]
        ],
        "cost_columns": COST_COLUMNS,
        "cold_unknown": [
            arm["name"]
            for arm in arms
            if arm["mean_costs"]["texts"] and arm["mean_costs"]["cold_tokens"] is None
        ],
        "costs": [{"arm": arm["name"], **cost(arm["mean_costs"])} for arm in arms],
        "arms": arms,
        "problems": [(arm["name"], seed, why) for arm in arms for seed, why in arm["problems"]],
        "differences": [
            (arm["name"], key, _setting(value), _setting(usual))
            for arm in arms
            for key, (value, usual) in arm["differences"].items()
        ],
    }


def headline(arms: Sequence[Mapping[str, Any]]) -> str:
    """Return which arms helped, in words.

    Of one judged arm that is its verdict's summary; of several, one sentence that names them.

    Args:
        arms: All arms, as ``results.json`` has them, with their ``name``.
    """
    judged = [arm for arm in arms if arm["verdict"]]
    if len(judged) == 1:
        return typeset(judged[0]["verdict"]["summary"])
    parts: list[str] = []
    for outcome, words in OUTCOMES.items():
        names = [arm["name"] for arm in judged if _outcome(arm["verdict"]) == outcome]
        if names:
            parts.append(f"{words}: {listed(names)}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def progress(arms: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return how far a comparison has come, or nothing where no run is still to come."""
    states = [state for arm in arms for state in arm["status"].values()]
    ended = sum(state in ENDED for state in states)
    if ended == len(states):
        return None
    rows = [
        {"arm": arm["name"], **{name: own.count(name) for name in STATES}}
        for arm in arms
        if (own := list(arm["status"].values()))
    ]
    return {"ended": ended, "all": len(states), "rows": rows, "states": STATES}


def days(dates: Sequence[str] | None) -> str:
    """Return the days from a first to a last time, in ISO 8601."""
    if not dates:
        return ""
    first, last = dates[0][:10], dates[-1][:10]
    return first if first == last else f"{first} to {last}"


def _verdict(arm: str, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict in words; before anything was evaluated it has no numbers."""
    reason, outcome = str(verdict["reason"]), _outcome(verdict)
    facts = {}
    if "mean" in verdict:
        facts = {
            "mean": _interval(verdict["mean"]),
            "interquartile mean": _interval(verdict["interquartile_mean"]),
            "seeds": str(len(verdict["seeds"])),
        }
    if verdict.get("share_of_best") is not None:
        facts["way from random to best"] = f"{verdict['share_of_best']:.0%}"
    return {
        "arm": arm,
        "outcome": outcome,
        "sign": SIGNS[outcome],
        "is_final": verdict["is_final"],
        "summary": typeset(verdict["summary"]),
        "reason": typeset(reason[0].upper() + reason[1:]),
        "facts": facts,
        "comparisons": [
            {
                "against": item["against"],
                "difference": _interval(item["difference"]),
                "improvement": _interval(item["improvement"]),
                "p": f"{item['p_value']:.2g}",
                "adjusted": f"{item['adjusted']:.2g}",
            }
            for item in verdict.get("comparisons", ())
        ],
    }


def _score(arm: Mapping[str, Any], other: str) -> dict[str, str]:
    return {
        "arm": arm["name"],
        "kind": arm["kind"],
        "interval": _interval(arm["interquartile_mean"]),
        "mean": shown(arm["mean"] and arm["mean"]["estimate"]),
        "other": shown(arm[f"{other}_mean"]),
        "worst": shown(arm["worst"]),
        "best": shown(arm["best"]),
        "seeds": f"{len(arm['scores'])} of {len(arm['status'])}",
    }


def _speed(arm: Mapping[str, Any]) -> dict[str, str]:
    speed = arm["speed"]
    return {
        "arm": arm["name"],
        "kind": arm["kind"],
        "reached": f"{speed['reached']} of {len(speed['steps'])}",
        "median": shown(speed["median"], "never"),
        "mean": shown(speed["restricted_mean"]),
        "seeds": ", ".join(shown(at, "never") for at in speed["steps"].values()),
    }


def cost(costs: Mapping[str, float | None]) -> dict[str, str]:
    """Return costs in words; ``cold`` is what they would be with an empty cache."""
    row = {key: shown(costs.get(key)) for key in COST_COLUMNS}
    texts, remembered = costs.get("texts"), costs.get("texts_remembered")
    if texts and remembered is not None:
        row["texts_remembered"] += f" ({remembered / texts:.1%})"
    row["cold"] = ""
    if costs.get("cold_tokens") is not None:
        row["cold"] = (
            f"{shown(costs['cold_tokens'])} tokens, {shown(costs['cold_gigaflops'])} GFLOP, "
            f"{shown(costs['cold_model_seconds'])} s in the model"
        )
    return row


def _outcome(verdict: Mapping[str, Any]) -> str:
    """Return a verdict's outcome, or that there is none before anything was compared."""
    return str(verdict["outcome"]) if "mean" in verdict else NO_VERDICT


def _interval(data: Mapping[str, Any] | None) -> str:
    return NOTHING if data is None else typeset(str(Interval.from_json(data)))


def shown(value: float | None, nothing: str = NOTHING) -> str:
    """Return a number as pages show it."""
    return nothing if value is None else typeset(number(value))


def typeset(text: str) -> str:
    """Return text with true minus signs, and with p-values that do not break over lines."""
    return re.sub(r"(?<!\w)-(?=\d)", "\u2212", text).replace("p = ", "p\u00a0=\u00a0")


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_setting(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return "none" if value is None else str(value)
