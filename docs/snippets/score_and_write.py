import dragoman

model = dragoman.CachedModel(dragoman.load_model("smollm2-135m"))
prompt = "You stand before a locked door and hold a key. You should"

# One score a candidate: log-probs summed, or their mean a token or a word.
(scores,) = dragoman.score(model, [prompt], [[" unlock the door", " eat the key"]])
print(scores)

# A text, and one that must be one of two.
sampling = dragoman.Sampling(max_tokens=16, temperature=0.7, seed=1, stop=("\n",))
print(model.generate([prompt], sampling=sampling)[0].text)
print(model.generate([prompt], constraint=dragoman.Choice((" wait", " act")))[0].text)
