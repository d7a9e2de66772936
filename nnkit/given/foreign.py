"""What other libraries call things, for errors that say what nnkit calls them.

Imported only where something is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_THINGS = {
    "Linear": "dense denselayer fullyconnected affine",
    "BatchNorm1d": "batchnorm batchnormalization",
    "Dropout2d": "spatialdropout spatialdropout2d",
    "LayerNorm": "layernormalization",
    "Layer": "module",
    "Sequential": "model",
    "MeanSquaredError": "mse mseloss",
    "HuberLoss": "smoothl1loss",
    "SoftmaxCrossEntropy": "crossentropyloss nll nllloss",
    "CategoricalCrossEntropy": "sparsecategoricalcrossentropy",
    "BinaryCrossEntropy": "bce bceloss",
    "SigmoidCrossEntropy": "bcewithlogitsloss",
    "HingeLoss": "hinge",
    "load": "loadmodel",
    "he": "kaiming kaiminguniform kaimingnormal henormal heuniform",
    "xavier": "glorot glorotuniform glorotnormal xavieruniform xaviernormal",
    "lecun": "lecunnormal lecununiform",
    "normal": "randn randomnormal gaussian",
    "nnkit has no convolution yet: put Flatten() and Linear layers in its place": "conv conv1d "
    "conv2d conv3d convolution maxpool2d maxpooling2d avgpool2d averagepooling2d",
    "nnkit has no layers for sequences: no recurrent ones, embeddings or attention": "rnn lstm gru "
    "embedding attention multiheadattention transformer",
    "nnkit has no mean absolute error: HuberLoss with a small delta is near it": "mae maeloss l1 "
    "l1loss meanabsoluteerror",
    "write SGD(momentum=0.9), with nesterov=True if you like": "momentum nesterov nag",
    "nnkit computes with NumPy and CuPy arrays themselves": "tensor astensor",
    "nothing is recorded here: gradients are computed where backward is called": "nograd",
    "schedules are in nnkit.schedules, and go to Trainer.fit(schedule=...)": "steplr onecyclelr "
    "exponentiallr cosineannealinglr lrscheduler",
    "write a Callback whose on_epoch_end does it; trainer.save(path) writes a checkpoint": ""
    "modelcheckpoint reducelronplateau learningratescheduler tensorboard",
    "give arrays to Trainer.fit(x, t, batch_size=...), which makes the batches": "dataloader",
}
"""Our names, or a sentence, and what others call it, in small letters without underscores."""

_KEYWORDS = {
    "lr": "learning_rate learning_rate_init alpha eta",
    "weight_decay": "decay wd l2 kernel_regularizer",
    "clip_norm": "clipnorm global_clipnorm max_norm max_grad_norm",
    "eps": "epsilon delta",
    "alpha": "rho decay_rate negative_slope slope",
    "beta1": "momentum",
    "in_features": "in_channels in_dim input_dim input_size input_shape n_in inputs",
    "out_features": "units out_channels out_dim output_dim hidden_size n_out outputs",
    "bias": "use_bias",
    "init": "kernel_initializer weight_init initializer",
    "p": "rate prob probability dropout keep_prob",
    "num_features": "num_channels normalized_shape width",
    "features": "num_parameters",
    "label_smoothing": "smoothing",
    "every": "step_size decay_steps steps",
    "factor": "gamma",
    "end": "eta_min",
    "updates": "warmup warmup_steps warmup_updates",
    "rise": "pct_start",
    "divide": "div_factor",
    "final_divide": "final_div_factor",
    "seed": "random_state random_seed",
    "backend": "device",
    "model": "net network",
    "loss": "criterion loss_fn loss_function objective",
    "optimizer": "optim solver opt",
    "an activation is a layer of its own, behind this one": "activation",
    "SoftmaxCrossEntropy and SigmoidCrossEntropy take logits, CategoricalCrossEntropy and "
    "BinaryCrossEntropy probabilities": "from_logits",
    "they are beta1 and beta2": "betas",
    "accuracy is recorded where the loss has one": "metrics",
    "layers are known by their places": "name",
}
"""Our keyword arguments, or a sentence, and those of others; ours count where a class has them."""

THINGS, KEYWORDS = (
    {word: ours for ours, words in table.items() for word in words.split()}
    for table in (_THINGS, _KEYWORDS)
)


def keyword(name: str, known: Iterable[str]) -> str:
    """Say what a keyword argument that is not known was meant to be; "" if that is unclear."""
    ours = {each: each for each in known}
    found = KEYWORDS.get(name.lower(), "")
    if " " in found:
        return found
    return _meant(ours.get(found) or near(name.lower(), ours))


def thing(name: str, known: Mapping[str, str]) -> str:
    """Say what a name was meant to be, of those that are `known` in small letters by `plain`."""
    key = plain(name)
    found = THINGS.get(key, "")
    if " " in found:
        return found
    return _meant(known.get(plain(found)) or known.get(key) or near(key, known))


def plain(name: str) -> str:
    """Return a name as it is compared: in small letters, without underscores and hyphens."""
    return "".join(filter(str.isalnum, name.lower()))


def near(name: str, known: Mapping[str, str]) -> str:
    """Return the known name that is most like it; none: an empty string."""
    found = get_close_matches(name, known, 1, 0.6)
    return known[found[0]] if found else ""


def _meant(name: str) -> str:
    return f"did you mean {name}?" if name else ""
