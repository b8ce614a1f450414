import os

import dragoman
from dragoman.generation import Choice, Sampling
from dragoman.models.remote import Budget, Connection, ServerFeatures

model = dragoman.RemoteModel(
    "Qwen/Qwen3-8B",
    os.environ.get("MODEL_URL", "http://127.0.0.1:8000/v1"),
    connection=Connection(api_key_env="MODEL_KEY", timeout=30, requests_per_minute=600),
    offers=ServerFeatures(json_schema=True),
    budget=Budget(money=2.50, prompt_price=0.10, completion_price=0.40),
)
(answer,) = model.generate(
    ["The pole leans to the right. Where should the cart be pushed, left or right?"],
    sampling=Sampling(max_tokens=20),
    constraint=Choice(("left", "right")),
)
print(answer.text, model.spend)
model.close()
