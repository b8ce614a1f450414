import gymnasium as gym
import onnxruntime

import dragoman

experiment = dragoman.Experiment(env="CartPole-v1", steps=2048)
run = dragoman.train(experiment, out="runs/cartpole")
print(dragoman.export(run, "exported/cartpole").note)

teaching = dragoman.Distillation(steps=2000, rounds=2)
student = dragoman.distill(run, "deployed/cartpole", teaching)
print(student.to_dict()["agreement"], student.to_dict()["returns"])

env = gym.make("CartPole-v1")
observation, info = env.reset(seed=0)
row = gym.spaces.flatten(env.observation_space, observation)
session = onnxruntime.InferenceSession("deployed/cartpole/student.onnx")
actions, logits = session.run(None, {"observation": row[None]})
observation, reward, *_ = env.step(actions[0])
