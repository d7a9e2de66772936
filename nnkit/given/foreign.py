"""What other libraries call things, for errors that say what nnkit calls them.

Imported only where something is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_CHANGED = "pictures are changed where they are trained on: fit(x, t, augment=nnkit.augment"

_THINGS = {
    "Linear": "dense denselayer fullyconnected affine",
    "write BatchNorm1d(...) for rows of numbers, BatchNorm2d(...) for images": "batchnorm "
    "batchnormalization",
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
    "PoissonLoss": "poisson poissonnll poissonnllloss",
    "load": "loadmodel",
    "he": "kaiming kaiminguniform kaimingnormal henormal heuniform",
    "xavier": "glorot glorotuniform glorotnormal xavieruniform xaviernormal",
    "lecun": "lecunnormal lecununiform",
    "normal": "randn randomnormal gaussian",
    "Conv2d": "conv2d conv convolution convolution2d",
    "ConvTranspose2d": "convtranspose2d conv2dtranspose convtranspose deconv deconvolution",
    "MaxPool2d": "maxpool2d maxpool maxpooling maxpooling2d",
    "AvgPool2d": "avgpool2d avgpool averagepool averagepooling averagepooling2d",
    "GlobalAvgPool2d": "globalavgpool2d globalavgpool globalaveragepooling globalaveragepooling2d "
    "adaptiveavgpool2d",
    "Upsample2d": "upsample2d upsample upsampling2d upsamplingnearest2d",
    "Image": "reshape unflatten",
    "ChannelsLast": "permute channelsfirst",
    "write Conv2d(..., groups=in_channels)": "depthwiseconv2d depthwiseconv",
    "write Conv2d(..., groups=in_channels), then Conv2d with a kernel_size of 1": "separableconv2d",
    "write Conv2d(..., padding=...), which puts zeros around": "zeropadding2d zeropad2d",
    "write MaxPool2d(...) of the image's size, and Flatten() behind": "globalmaxpool2d "
    "globalmaxpooling2d adaptivemaxpool2d",
    "write Conv2d with kernel_size=(1, k), and Image(1, length, channels) in front": "conv1d",
    "nnkit has no convolutions of volumes: Conv2d is of images": "conv3d",
    "nnkit has no layers for sequences: no recurrent ones, embeddings or attention": "rnn lstm gru "
    "embedding attention multiheadattention transformer",
    "nnkit has no mean absolute error: HuberLoss with a small delta is near it": "mae maeloss l1 "
    "l1loss meanabsoluteerror",
    "write SGD(momentum=0.9), with nesterov=True if you like": "momentum nesterov nag",
    "nnkit computes with NumPy and CuPy arrays themselves": "tensor astensor",
    "nothing is recorded here: gradients are computed where backward is called": "nograd",
    "schedules.StepDecay": "steplr",
    "schedules.ExponentialDecay": "exponentiallr",
    "schedules.Cosine": "cosineannealinglr cosinedecay cosineannealing",
    "schedules.OneCycle": "onecyclelr",
    "schedules.Warmup": "linearlr linearwarmup",
    "schedules are in nnkit.schedules, and go to Trainer.fit(schedule=...)": "lrscheduler",
    "a schedule goes to Trainer.fit(schedule=...); a Callback may set trainer.optimizer.lr": ""
    "learningratescheduler",
    "Checkpoint": "modelcheckpoint backupandrestore",
    "ReduceOnPlateau": "reducelronplateau",
    "TensorBoard": "tensorboardlogger summarywriter",
    "MLflow": "mlflowlogger mlflowcallback",
    "WeightsAndBiases": "wandb wandblogger wandbcallback wandbmetricslogger",
    "LearningRateFinder": "lrfinder lrfind rangetest learningratefinder",
    "ProgressBar": "progbarlogger tqdmprogressbar",
    "write a Callback whose on_epoch_end does it": "lambdacallback",
    f"{_CHANGED}.Flip())": "randomhorizontalflip randomflip horizontalflip fliplr",
    f"{_CHANGED}.Crop(4))": "randomcrop",
    f"{_CHANGED}.Rotate(10))": "randomrotation randomrotate",
    f"{_CHANGED}.Scale(0.1))": "randomzoom randomresizedcrop randomscale",
    f"{_CHANGED}.Shift(2))": "randomtranslation randomaffine imagedatagenerator transforms",
    f"{_CHANGED}.Cutout(8))": "randomerasing coarsedropout",
    "write several in a list, fit(x, t, augment=[Shift(2), Flip()])": "compose",
    "models.lenet": "lenet5",
    "models.simple_conv": "simpleconvnet",
    "models.deep_conv": "deepconvnet",
    "models.vgg": "vgg11 vgg13 vgg16 vgg19",
    "models.resnet20": "resnet resnet18 resnet34 resnet50 resnet101 resnet152",
    "give arrays to Trainer.fit(x, t, batch_size=...), which makes the batches; or PyTorch's "
    "DataLoader itself, fit(loader)": "dataloader",
}
"""Our names, in nnkit or a module of it, or a sentence, and what others call it, as `plain`."""

_METHODS = {
    "a trainer does that, nnkit.Trainer(model, loss).fit(x, t, epochs=5)": "fit train_on_batch",
    "a trainer does that, nnkit.Trainer(model, loss).predict(x); model(x) gives the outputs": ""
    "predict predict_on_batch",
    "a trainer does that, nnkit.Trainer(model, loss).predict_proba(x)": "predict_proba",
    "a trainer does that, nnkit.Trainer(model, loss).evaluate(x, t)": "evaluate score",
    "a trainer takes loss and optimizer, nnkit.Trainer(model, loss, optimizer)": "compile",
    "write model.append(layer)": "add add_module",
    "a copy of all values is model.state()": "state_dict get_weights",
    "values are taken over by model.restore(state), those of a file by model.load_weights(path), "
    "PyTorch's and Keras's with layout='torch' or 'keras'": "load_state_dict set_weights",
    "write model.to('cupy')": "cuda gpu",
    "write model.to('numba'), or model.to('numpy')": "cpu",
    "write model.summary(), or model.n_parameters for their number": "count_params num_parameters",
    "write layer.frozen = True, or False": "trainable requires_grad requires_grad_ freeze unfreeze",
    "model.walk() goes through all layers inside, with their paths": "modules named_modules apply",
    "gradients are overwritten by backward: there is nothing to set to zero": "zero_grad",
    "write optimizer.lr; a schedule changes it, Trainer.fit(schedule=...)": "param_groups",
}
"""What does here what methods and attributes of others do."""

_KEYWORDS = {
    "lr": "learning_rate learning_rate_init alpha eta",
    "weight_decay": "decay wd l2 kernel_regularizer",
    "clip_norm": "clipnorm global_clipnorm max_norm max_grad_norm",
    "eps": "epsilon delta",
    "alpha": "rho decay_rate negative_slope slope",
    "beta1": "momentum",
    "in_features": "in_channels in_dim input_dim input_size input_shape n_in inputs",
    "out_features": "units out_channels out_dim output_dim hidden_size n_out outputs",
    "in_channels": "in_features in_planes n_in",
    "out_channels": "filters num_filters n_filters filter_num channels out_features out_planes "
    "units",
    "kernel_size": "kernel kernel_shape ksize filter_size size window",
    "size": "pool_size kernel_size kernel window ksize",
    "scale": "scale_factor size",
    "stride": "strides step",
    "padding": "pad",
    "dilation": "dilation_rate rate",
    "images are (n, height, width, channels): put ChannelsLast() in front of channels-first "
    "data": "data_format",
    "padding is with zeros": "padding_mode",
    "windows that reach over the edge are left out": "ceil_mode",
    "bias": "use_bias",
    "init": "kernel_initializer weight_init initializer",
    "p": "rate prob probability dropout keep_prob",
    "num_features": "num_channels normalized_shape width",
    "features": "num_parameters",
    "label_smoothing": "smoothing",
    "every": "step_size decay_steps steps period save_freq every_n_epochs",
    "factor": "gamma",
    "steps": "num_iter num_training num_steps",
    "end": "eta_min",
    "updates": "warmup warmup_steps warmup_updates",
    "rise": "pct_start",
    "divide": "div_factor",
    "classes": "num_classes n_classes nb_classes num_labels",
    "image": "input_shape image_shape img_shape input_size image_size img_size",
    "shortcut": "downsample projection skip",
    "nnkit has no networks that are trained already: train one, and save it": "pretrained weights",
    "the first layer's in_channels or in_features says what it takes; rows of pixels become images "
    "in Image(height, width, channels)": "input_shape input_dim batch_input_shape",
    "leave it out; fit has the memory of all layers ready beforehand": "inplace",
    "gamma and beta are always there; layer.frozen = True keeps them as they are": "affine center "
    "scale elementwise_affine",
    "running averages are always kept": "track_running_stats",
    "of the convolutions only Conv2d has groups and dilation": "groups dilation dilation_rate",
    "each pixel is repeated, as the nearest neighbour; there is nothing in between": "mode "
    "interpolation align_corners",
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
    "accuracy is recorded where the loss has one; figures of your own are given to fit": "metrics",
    "layers are known by their places": "name",
    "restore_best": "restore_best_weights",
    "min_delta": "threshold min_change",
    "min_lr": "eta_min min_learning_rate",
    "best_only": "save_best_only save_best",
    "keep": "save_top_k max_to_keep max_keep",
    "path": "filepath filename file fname",
    "folder": "log_dir logdir save_dir",
    "histograms": "histogram_freq",
    "lowest": "min_lr start_lr",
    "highest": "max_lr end_lr",
    "what nnkit decides is logged: logging.basicConfig(level=logging.INFO)": "verbose",
}
"""Our keyword arguments, or a sentence, and those of others; ours count where a class has them."""

THINGS = {word: ours for ours, words in _THINGS.items() for word in words.split()}
METHODS = {word: ours for ours, words in _METHODS.items() for word in words.split()}
KEYWORDS = {
    word: [ours for ours, words in _KEYWORDS.items() if word in words.split()]
    for known in _KEYWORDS.values()
    for word in known.split()
}
"""What a word may stand for: "size" is one thing of a convolution, and another of `Upsample2d`."""


def keyword(name: str, known: Iterable[str]) -> str:
    """Say what a keyword argument that is not known was meant to be; "" if that is unclear."""
    ours = {each: each for each in known}
    for found in KEYWORDS.get(name.lower(), []):
        if " " in found:
            return found
        if found in ours:
            return _meant(found)
    return _meant(near(name.lower(), ours))


def thing(name: str, known: Mapping[str, str]) -> str:
    """Say what a name was meant to be, of those that are `known` in small letters by `plain`."""
    key = plain(name)
    found = THINGS.get(key, "")
    if " " in found:
        return found
    if "." in found:
        return _meant(f"nnkit.{found}")
    meant = known.get(plain(found)) or known.get(key)
    if not meant and found[:1].isupper():  # a class that no name alone stands for
        return f"write {found}(...)"
    return _meant(meant or near(key, known))


def plain(name: str) -> str:
    """Return a name as it is compared: in small letters, without underscores and hyphens."""
    return "".join(filter(str.isalnum, name.lower()))


def near(name: str, known: Mapping[str, str]) -> str:
    """Return the known name that is most like it; none: an empty string."""
    found = get_close_matches(name, known, 1, 0.6)
    return known[found[0]] if found else ""


def _meant(name: str) -> str:
    return f"did you mean {name}?" if name else ""
