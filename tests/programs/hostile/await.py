import asyncio
async def f():
    while True:
        await asyncio.sleep(0)
def reward(state, action, next_state):
    return asyncio.run(f())
