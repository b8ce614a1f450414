"""Built-in environments with their reference policies.

Importing this package registers them; it is light, and loads neither torch nor pydantic. Gymnasium
dropped its entry points for plugins in 1.0, so name the package where nothing has imported it:

>>> import gymnasium
>>> gymnasium.make("dragoman.tasks:dragoman/TidyHouse-v0").spec.id
'dragoman/TidyHouse-v0'

Dragoman itself finds the plain id in experiments and on the command line.
"""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

ENVIRONMENTS = (
    # Id, class, most steps of an episode: above the longest there can be, but for Breakout, chess,
    # Pong, TMaze, TextWorld and TidyHouse; None where the environment has a limit of its own.
    ("dragoman/2048-v0", "dragoman.tasks.boards:Game2048", 8192),
    ("dragoman/BabyAIText-GoToLocal-v0", "dragoman.tasks.babyai:GoToLocal", None),
    ("dragoman/BabyAIText-Mixed-v0", "dragoman.tasks.babyai:Mixed", None),
    ("dragoman/BabyAIText-OpenDoor-v0", "dragoman.tasks.babyai:OpenDoor", None),
    ("dragoman/BabyAIText-PickupLocal-v0", "dragoman.tasks.babyai:PickupLocal", None),
    ("dragoman/BabyAIText-PutNextLocal-v0", "dragoman.tasks.babyai:PutNextLocal", None),
    ("dragoman/BabyAIText-Sequence-v0", "dragoman.tasks.babyai:Sequence", None),
    ("dragoman/BreakoutRAM-v0", "dragoman.tasks.atari:BreakoutRAM", 27000),
    ("dragoman/CVRP-v0", "dragoman.tasks.routing:RoutingEnv", 1000),
    ("dragoman/Chess-v0", "dragoman.tasks.boards:Chess", 300),
    ("dragoman/ConnectFour-v0", "dragoman.tasks.boards:ConnectFour", 22),
    ("dragoman/Inventory-v0", "dragoman.tasks.inventory:InventoryEnv", 1000),
    ("dragoman/JobShop-v0", "dragoman.tasks.job_shop:JobShopEnv", 1000),
    ("dragoman/Knapsack-v0", "dragoman.tasks.knapsack:KnapsackEnv", 1000),
    ("dragoman/LeducPoker-v0", "dragoman.tasks.boards:LeducPoker", 9),
    ("dragoman/PongRAM-v0", "dragoman.tasks.atari:PongRAM", 27000),
    ("dragoman/TMaze-v0", "dragoman.tasks.t_maze:TMaze", 50),
    ("dragoman/TextWorld-v0", "dragoman.tasks.textworld:TextWorldEnv", 50),
    ("dragoman/TicTacToe-v0", "dragoman.tasks.boards:TicTacToe", 6),
    ("dragoman/TidyHouse-v0", "dragoman.tasks.tidy_house:TidyHouse", 40),
)


def register_all() -> None:
    """Register every environment that is not registered yet; safe to call twice."""
    for name, entry_point, max_episode_steps in ENVIRONMENTS:
        if name not in registry:
            register(name, entry_point, max_episode_steps=max_episode_steps)


register_all()
