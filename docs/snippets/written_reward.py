import gymnasium as gym

from dragoman.agents.programs import program_trainer
from dragoman.experiment import Experiment
from dragoman.generation import Sampling
from dragoman.programs import Search, Writer, sample_transitions, schema_of
from dragoman.testing import ScriptedModel

env = gym.make("CartPole-v1")
schema = schema_of(env)
print(schema.text())

# Here a function plays the model; use dragoman.RemoteModel("...", "http://...") for a real one.
PROGRAM = """
import math

def reward(state, action, next_state):
    return {
        "upright": math.exp(-20 * next_state["pole_angle"] ** 2),
        "centred": -0.1 * abs(next_state["cart_position"]),
    }
"""
model = ScriptedModel(lambda text: [0.0], write=lambda prompt, seed: PROGRAM)

experiment = Experiment(env="CartPole-v1", num_envs=2, steps=256, observe=None)
found = Writer(
    model,
    schema,
    sample_transitions(env, schema),
    program_trainer(experiment, episodes=2),
    Search(
        "Keep the pole upright and the cart near the middle.",
        candidates=1,
        rounds=1,
        sampling=Sampling(max_tokens=1024, temperature=0.8),
        selection_seeds=(0,),
        test_seeds=(1000,),
    ),
).run("runs/written-cartpole")
print(found.program, found.test_scores, found.counts)
