import gymnasium
import numpy as np


class ColdStore(gymnasium.Env):
    """Keep a cold store between 2 and 6 degrees for a day, a quarter of an hour a step.

    ## Observation Space
    | Num | Observation         | Unit   |
    |-----|---------------------|--------|
    | 0   | inside temperature  | °C     |
    | 1   | outside temperature | °C     |
    | 2   | hour of the day     |        |
    | 3   | price of power      | ct/kWh |
    | 4   | rest left           | min    |

    ## Action Space
    - 0: leave the compressor off
    - 1: run the compressor
    """

    def __init__(self):
        self.action_space = gymnasium.spaces.Discrete(2)
        low, high = [-50, -50, 0, 0, 0], [60, 60, 24, 100, 30]
        self.observation_space = gymnasium.spaces.Box(np.float32(low), np.float32(high))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.quarter, self.rest, self.running = 0, 0, False
        self.inside, self.warmth = 4.0, self.np_random.uniform(10, 25)
        return self._observation(), self._info()

    def step(self, action):
        running = bool(action) and self.rest == 0  # after it stops it has to rest
        self.rest = 30 if self.running and not running else max(self.rest - 15, 0)
        self.running = running
        self.inside += 0.02 * (self.outside() - self.inside) - 0.8 * running
        cost = self.price() / 100 * running  # euros, at 4 kW
        spoilt = max(self.inside - 6, 2 - self.inside, 0)  # euros, one a degree
        self.quarter += 1
        return self._observation(), -(cost + spoilt), False, self.quarter == 96, self._info()

    def outside(self):
        return self.warmth + 6 * np.sin((self.quarter / 4 - 9) / 24 * 2 * np.pi)

    def price(self):
        return 30.0 if 28 <= self.quarter < 88 else 10.0  # from 7 to 22 o'clock

    def _observation(self):
        hour = self.quarter / 4
        seen = [self.inside, self.outside(), hour, self.price(), self.rest]
        return np.array(seen, dtype=np.float32)

    def _info(self):
        return {}


class SpeakingColdStore(ColdStore):
    """The same store, in its own words."""

    def _info(self):
        can_run = self.rest == 0
        state = "too warm" if self.inside > 6 else "too cold" if self.inside < 2 else "fine"
        power = "dear" if self.price() > 20 else "cheap"
        return {
            "text": f"The store is {state} at {self.inside:.1f} degrees. Power is {power}.",
            "action_texts": ["let it rest", "cool it down" if can_run else ""],
            "action_mask": np.array([1, can_run], dtype=np.int8),
        }
