"""What requests to a remote model may cost, and what they have cost."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass

from dragoman.errors import BudgetError, ConfigError

OVERHEAD_TOKENS = 256
"""Allowance for what a chat template and special tokens add to a prompt."""


@dataclass(frozen=True)
class Budget:
    """The most that a remote model may spend, from its making to its end.

    Attributes:
        tokens: Most tokens, of prompts and completions together; ``None`` sets no limit.
        money: Most money, in the currency of the prices; ``None`` sets no limit.
        prompt_price: Price of a million prompt tokens.
        completion_price: Price of a million completion tokens.
    """

    tokens: int | None = None
    money: float | None = None
    prompt_price: float = 0.0
    completion_price: float = 0.0

    def __post_init__(self) -> None:
        for name in ("tokens", "money", "prompt_price", "completion_price"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigError(
                    f"{name} of the budget is {value!r}, but must be at least 0",
                    cure=f"raise {name}",
                )
        if self.money is not None and not (self.prompt_price or self.completion_price):
            raise ConfigError(
                f"the budget allows {self.money:g} of money, but no price is given",
                cure="give prompt_price and completion_price, for a million tokens each",
            )

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what so many tokens cost."""
        return (
            prompt_tokens * self.prompt_price + completion_tokens * self.completion_price
        ) / 1_000_000


@dataclass
class Spend:
    """What a remote model has cost so far, as counters that only grow.

    Attributes:
        prompt_tokens: Tokens read, as the server counted them.
        completion_tokens: Tokens written, as the server counted them.
        money: Their price.
        requests: Requests sent, failed ones included.
        uncounted: Requests after which the server did not say what they cost: it was cut off,
            stalled or failed.
        assumed_prompt_tokens: Most tokens that the uncounted ones can have read, but for those
            that were answered by an error. The budget is charged with them.
        assumed_completion_tokens: Most tokens that they can have written.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0
    requests: int = 0
    uncounted: int = 0
    assumed_prompt_tokens: int = 0
    assumed_completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Spend) -> Spend:
        return Spend(*map(operator.add, astuple(self), astuple(other)))


@dataclass
class Reservation:
    """One request: at first the most that it can cost, at last what it did cost.

    Attributes:
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the completion.
        is_counted: Whether the server has said these numbers.
        is_owed: Whether the server may have billed it: it was sent, and no error came back.
    """

    prompt_tokens: int
    completion_tokens: int
    is_counted: bool = False
    is_owed: bool = False

    def count(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Put down what the server says."""
        self.prompt_tokens, self.completion_tokens = prompt_tokens, completion_tokens
        self.is_counted = True


class Account:
    """Keeps the spending of concurrent requests within a budget.

    A request holds the most that it can cost until the server has said what it did cost, and for
    good where it never says so, since it may have been billed after a time-out. One that does not
    fit beside the others waits for them, so that what is refused does not depend on how many
    requests run at once.

    Args:
        budget: What may be spent.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.spend = Spend()
        self._held: list[Reservation] = []
        self._settled = asyncio.Condition()

    @asynccontextmanager
    async def open(self, most: Reservation) -> AsyncIterator[Reservation]:
        """Hold a reservation while its request runs; what it counts is spent, also on failure.

        Args:
            most: The most that the request can cost.

        Raises:
            BudgetError: The request could exceed the budget.
        """
        async with self._settled:
            await self._settled.wait_for(lambda: self._fits(most) or not self._held)
            if not self._fits(most):
                raise self._refusal(most)
            self._held.append(most)
            self.spend.requests += 1
        try:
            yield most
        finally:
            # Before anything is awaited: a cancelled request is settled too.
            self._held = [reservation for reservation in self._held if reservation is not most]
            self._settle(most)
            async with self._settled:
                self._settled.notify_all()

    def _fits(self, most: Reservation) -> bool:
        bills, spend = [*self._held, most], self.spend
        prompt = spend.prompt_tokens + spend.assumed_prompt_tokens
        completion = spend.completion_tokens + spend.assumed_completion_tokens
        prompt += sum(reservation.prompt_tokens for reservation in bills)
        completion += sum(reservation.completion_tokens for reservation in bills)
        tokens, money = self.budget.tokens, self.budget.money
        if tokens is not None and prompt + completion > tokens:
            return False
        return money is None or self.budget.price(prompt, completion) <= money

    def _settle(self, reservation: Reservation) -> None:
        if not reservation.is_counted:
            self.spend.uncounted += 1
            if reservation.is_owed:
                self.spend.assumed_prompt_tokens += reservation.prompt_tokens
                self.spend.assumed_completion_tokens += reservation.completion_tokens
            return
        self.spend.prompt_tokens += reservation.prompt_tokens
        self.spend.completion_tokens += reservation.completion_tokens
        self.spend.money = self.budget.price(self.spend.prompt_tokens, self.spend.completion_tokens)

    def _refusal(self, most: Reservation) -> BudgetError:
        budget, spend = self.budget, self.spend
        asked = most.prompt_tokens + most.completion_tokens
        spent = []
        if budget.tokens is not None:
            spent.append(f"{spend.tokens} of {budget.tokens} tokens")
        if budget.money is not None:
            spent.append(f"{spend.money:.6g} of {budget.money:.6g} in money")
        assumed = spend.assumed_prompt_tokens + spend.assumed_completion_tokens
        if assumed:
            spent.append(f"up to {assumed} tokens in requests that were not answered")
        return BudgetError(
            f"a request of up to {asked} tokens, {most.completion_tokens} of them written, was "
            f"not sent, because it could exceed the budget; spent: {' and '.join(spent)}",
            cure="raise the budget, shorten the prompts or lower max_tokens of the sampling",
        )


def most_tokens(*texts: str) -> int:
    """Return a number of tokens that texts hardly exceed: their bytes, and an allowance.

    A tokenizer that works on bytes, or falls back to them, makes no more tokens than bytes.
    """
    return OVERHEAD_TOKENS + sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
