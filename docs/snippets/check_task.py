from cold_store import SpeakingColdStore

from dragoman.testing import check_task


def thermostat(env):
    store = env.unwrapped
    return int(store.inside > 5 and store.rest == 0)


check_task(SpeakingColdStore, reference=thermostat)
