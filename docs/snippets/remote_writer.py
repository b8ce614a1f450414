import os

import dragoman
from dragoman.models.remote import Connection, ServerFeatures

experiment = {
    "env": "dragoman/TidyHouse-v0",
    "max_episode_steps": 3,
    "describe": {"goal": "Tidy up: put things where they usually belong."},
    "act": {"policy": "write", "constrain": "none", "max_tokens": 16, "tune": {}},
}
model = dragoman.RemoteModel(
    "Qwen/Qwen3-8B",
    os.environ.get("MODEL_URL", "http://127.0.0.1:8000/v1"),
    connection=Connection(api_key_env="MODEL_KEY"),
    offers=ServerFeatures(),
)
kept = []
print(dragoman.evaluate_frozen(experiment, 2, model=model, on_written=kept.extend).mean)
print(kept[0].answer.text, "->", kept[0].action)
model.close()
