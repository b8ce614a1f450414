from pathlib import Path

import dragoman

Path("my_rewards.py").write_text('''
def upright(texts, scale=1.0):
    """One number a text: the pole stands best without a lean."""
    return [-scale * abs(lean(text)) for text in texts]


def lean(text):
    words = text.split()
    return float(words[words.index("angle") + 1])
''')
experiment = dragoman.Experiment.from_dict(
    {
        "env": "CartPole-v1",
        "steps": 256,
        "observe": None,
        "algorithm": {"settings": {"n_steps": 32}},
        "reward": {"use": "my_rewards.py:upright", "scale": 0.1},
    }
)
run = dragoman.train(experiment, out="runs/upright")
print(run.episodes()[0])
