from dragoman.testing import ScriptedModel, check_model


class Doubled:
    """Some model of your own: here, twice another one."""

    def __init__(self, model):
        self.model, self.name = model, "doubled"
        self.fingerprint = f"doubled {model.fingerprint}"
        self.hidden_size, self.num_layers = model.hidden_size, model.num_layers

    @property
    def cost(self):
        return self.model.cost

    def encode(self, texts, *, layer=None, pooling=("last",)):
        return 2 * self.model.encode(texts, layer=layer, pooling=pooling)


check_model(Doubled(ScriptedModel(lambda text: [len(text), text.count("a")])))
