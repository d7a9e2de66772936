"""The contract of a backend: the named operations that every array library must carry out.

A backend is an object. It holds an array namespace ``xp`` and some twenty-five operations, from
which every layer, loss and optimizer is written. `nnkit.backends.numpy` has each of them as a plain
formula and is the reference for the others.

Conventions, for every operation:

* Arrays belong to this backend and share one real dtype of its `dtypes`, unless stated.
* A half dtype (float16, bfloat16) is for storage: arithmetic is in float32. Then the statistics of
  normalisation (mean, var, inv_std and their running averages) and the state of optimizers are
  float32 too.
* Matrices have one example per row: shape (n, features). Inputs are never modified.
* ``out`` (or the named output arrays) is preallocated; where it may be None a new array is made.
* Nothing is read back to the host, so that a sequence of operations can be captured and replayed.
  What changes from step to step is read from a device array of three int64 `counters`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, ClassVar

import numpy as np

from nnkit.kernels.table import ACTIVATIONS

Array = Any
"""An array of some backend; the libraries share no common type."""

STEP, UPDATES, FORWARDS = 0, 1, 2
"""Places in `counters`: the step within the epoch, optimizer updates made, stochastic forwards."""


class CaptureError(RuntimeError):
    """A step holds something that this backend cannot capture; the message says what."""


class Backend(ABC):
    """Arrays and operations of one array library; see the module's text for the conventions."""

    name: ClassVar[str]
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")
    """Names of the real dtypes that the operations take."""
    xp: Any
    """The array namespace (numpy or cupy), for layers and losses written in plain array code."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as the one backend of this name, which is made where it is needed."""
        from nnkit.backends import get_backend

        return get_backend, (self.name,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        return self

    # ------------------------------------------------------------------ arrays

    @abstractmethod
    def owns(self, array: object) -> bool:
        """Whether `array` is an array of this backend."""

    @abstractmethod
    def asarray(self, array: Any, dtype: Any = None) -> Array:
        """Move a NumPy array (or a sequence) to this backend as a C-contiguous array.

        An array that is here already, contiguous and of that dtype is returned as it is. An array
        of another library raises TypeError.
        """

    @abstractmethod
    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Copy an array to the host (a view where it is there already), waiting for its value."""

    def empty(self, shape: int | Sequence[int], dtype: Any) -> Array:
        """Make an uninitialised C-contiguous array."""
        return self.xp.empty(shape, dtype)

    def zeros(self, shape: int | Sequence[int], dtype: Any) -> Array:
        """Make a C-contiguous array of zeros."""
        return self.xp.zeros(shape, dtype)

    def room(self) -> float:
        """Bytes that a data set may take on the device; a larger one is streamed."""
        return inf

    def copy_from_host(self, host: np.ndarray[Any, Any], out: Array) -> Any:
        """Copy a NumPy array into `out` once the work issued so far is done.

        The copy goes on while work that is issued later is done; `wait_for` its result.
        """
        out[...] = self.asarray(host)

    def wait_for(self, copy: Any) -> None:
        """Have work that is issued later wait for a copy of `copy_from_host`."""
        return

    def synchronize(self) -> None:
        """Wait until all work issued so far is done; immediate on a CPU."""
        return

    def capture(self, step: Callable[[], object]) -> Callable[[int], None]:
        """Record the operations of `step`, and return a function that repeats them n times.

        `step` must have run before, so that all its arrays exist. Raises CaptureError if it cannot
        be captured. This version just calls it.
        """

        def replay(times: int) -> None:
            for _ in range(times):
                step()

        return replay

    # ------------------------------------------------------------------ products

    @abstractmethod
    def matmul(self, a: Array, b: Array, out: Array | None = None) -> Array:
        """Matrix product ``a @ b`` of (n, k) and (k, m); transposed views are welcome.

        `out` must not overlap a or b. Raises ValueError for shapes that do not go together.
        """

    def linear_forward(
        self,
        kind: str,
        x: Array,
        weight: Array,
        bias: Array | None,
        y: Array,
        z: Array,
        alpha: float = 0.0,
    ) -> None:
        """Fused linear layer and activation: ``z = x @ weight + bias``, ``y = f(z)``.

        `z` may be the same array as `y` where the activation's gradient needs only `y`
        (``ACTIVATIONS[kind].saved == "y"``), and is scratch; otherwise it is kept for the backward
        pass. With "identity" it is a linear layer alone.
        """
        if kind == "identity":
            self.matmul(x, weight, y)
            if bias is not None:
                self.bias_activation(kind, y, bias, y)
        else:
            self.matmul(x, weight, z)
            self.bias_activation(kind, z, bias, y, alpha)

    def linear_backward(
        self,
        kind: str,
        dy: Array,
        x: Array,
        weight: Array,
        saved: Array,
        dz: Array,
        dweight: Array,
        dbias: Array | None,
        dx: Array | None,
        alpha: float = 0.0,
    ) -> None:
        """Gradients of `linear_forward`; `saved` is its `y` or `z`, `dx` is None if not wanted.

        ``dz = dy * f'``, ``dbias = sum of dz over rows``, ``dweight = x.T @ dz``,
        ``dx = dz @ weight.T``. `dz` may be the same array as `dy`; with "identity" dy itself is dz,
        and `dz` is not written.
        """
        if kind == "identity":
            dz = dy
            if dbias is not None:
                self.bias_gradient(dy, dbias)
        else:
            self.bias_activation_backward(kind, dy, saved, dz, dbias, alpha)
        self.matmul(x.T, dz, dweight)
        if dx is not None:
            self.matmul(dz, weight.T, dx)

    # ------------------------------------------------------------------ activations

    @abstractmethod
    def bias_activation(
        self, kind: str, z: Array, bias: Array | None, y: Array, alpha: float = 0.0
    ) -> None:
        """Bias and activation in one pass: ``y = f(z + bias)`` for z (n, m), bias (m,) or None.

        Where the gradient of `kind` needs its input, ``z`` becomes ``z + bias``; otherwise `z` is
        scratch and may be the same array as `y`.
        """

    @abstractmethod
    def bias_activation_backward(
        self,
        kind: str,
        dy: Array,
        saved: Array,
        dz: Array,
        dbias: Array | None,
        alpha: float = 0.0,
    ) -> None:
        """In one pass ``dz = dy * f'(saved)`` and ``dbias = sum of dz over rows`` (if wanted).

        `dz` may be the same array as `dy`. The sum has a fixed order: two runs give the same bits.
        """

    def activation(self, kind: str, x: Array, y: Array | None = None, alpha: float = 0.0) -> Array:
        """Elementwise activation ``y = f(x)`` of any shape; `kind` is a key of `ACTIVATIONS`."""
        y = self.empty(x.shape, x.dtype) if y is None else y
        self._elementwise(kind, x, y, alpha)
        return y

    def activation_backward(
        self, kind: str, dy: Array, saved: Array, dx: Array | None = None, alpha: float = 0.0
    ) -> Array:
        """Gradient ``dx = dy * f'``, where `saved` is the activation's x or y (see `ACTIVATIONS`).

        Raises ValueError for an activation without a gradient (step).
        """
        if ACTIVATIONS[kind].gradient is None:
            raise ValueError(
                f"the activation {kind!r} has no gradient: it cannot be trained through"
            )
        dx = self.empty(dy.shape, dy.dtype) if dx is None else dx
        self._elementwise_backward(kind, dy, saved, dx, alpha)
        return dx

    @abstractmethod
    def _elementwise(self, kind: str, x: Array, y: Array, alpha: float) -> None: ...

    @abstractmethod
    def _elementwise_backward(
        self, kind: str, dy: Array, saved: Array, dx: Array, alpha: float
    ) -> None: ...

    @abstractmethod
    def bias_gradient(self, dy: Array, dbias: Array) -> None:
        """``dbias = sum of dy over rows`` for dy (n, m), in a fixed order."""

    @abstractmethod
    def prelu(self, x: Array, slope: Array, y: Array) -> None:
        """``y = x`` where x > 0, else ``slope x``, with a slope (m,) for x (n, m), or (1,)."""

    @abstractmethod
    def prelu_backward(self, dy: Array, x: Array, slope: Array, dx: Array, dslope: Array) -> None:
        """``dx = dy`` where x > 0, else ``slope dy``; ``dslope = sum of dy min(x, 0)``.

        The sum is over rows, or over all elements for a slope (1,), and has a fixed order.
        """

    @abstractmethod
    def maxout(self, z: Array, bias: Array, y: Array, piece: Array) -> None:
        """Largest of k linear functions: ``y = max over k of z_k + bias_k``.

        z is (n, k m), k matrices (n, m) side by side, bias (k m,), y (n, m). `piece`, int32 (n, m),
        receives the number of the largest, the first of equals; NaN counts as largest.
        """

    @abstractmethod
    def maxout_backward(self, dy: Array, piece: Array, dz: Array) -> None:
        """Gradient of `maxout`: ``dz_k = dy`` where `piece` is k, else 0."""

    @abstractmethod
    def softmax(self, x: Array, y: Array | None = None) -> Array:
        """Softmax of each row, ``exp(x - max) / sum(exp(x - max))``: no overflow for any finite x.

        A row with +inf or NaN gives NaN.
        """

    @abstractmethod
    def softmax_backward(self, dy: Array, y: Array, dx: Array | None = None) -> Array:
        """Gradient of softmax for any `dy`: ``dx = y * (dy - sum(dy * y))`` in each row."""

    @abstractmethod
    def log_softmax(self, x: Array, y: Array | None = None) -> Array:
        """Logarithm of the softmax of each row, ``x - max - log(sum(exp(x - max)))``."""

    @abstractmethod
    def log_softmax_backward(self, dy: Array, y: Array, dx: Array | None = None) -> Array:
        """Gradient of log-softmax, y its output: ``dx = dy - exp(y) * sum(dy)`` in each row."""

    # ------------------------------------------------------------------ normalization

    @abstractmethod
    def batch_norm_forward(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        mean: Array,
        var: Array,
        y: Array,
        eps: float,
        momentum: float,
    ) -> None:
        """Batch normalisation of x (n, m), n of at least 2 (Ioffe & Szegedy 2015), in training.

        ``y = (x - mean) / sqrt(var + eps) * gamma + beta`` with the mean and the biased variance
        of each column, which are written to `mean` and `var`. With the unbiased variance, times
        ``n / (n - 1)``, the averages follow: ``running += momentum * (batch's - running)``. All
        but x and y have shape (m,). The variance is not harmed by a large mean.
        """

    @abstractmethod
    def batch_norm_inference(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, y: Array, eps: float
    ) -> None:
        """``y = (x - mean) / sqrt(var + eps) * gamma + beta`` with the given `mean` and `var`."""

    @abstractmethod
    def batch_norm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        mean: Array,
        var: Array,
        dgamma: Array,
        dbeta: Array,
        dx: Array,
        eps: float,
        batch_statistics: bool,
    ) -> None:
        """Gradients of batch normalisation, its sums in a fixed order.

        With ``xhat = (x - mean) / sqrt(var + eps)``: ``dbeta = sum of dy``, ``dgamma = sum of dy *
        xhat``, over rows; ``dx = gamma / sqrt(var + eps) * (dy - (dbeta + xhat * dgamma) / n)`` if
        `batch_statistics`, that is if `mean` and `var` are those of x, else without the terms
        taken from dy.
        """

    @abstractmethod
    def layer_norm_forward(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        mean: Array,
        inv_std: Array,
        y: Array,
        eps: float,
    ) -> None:
        """Layer normalisation of x (n, m) (Ba et al. 2016).

        ``y = (x - mean) * inv_std * gamma + beta`` with each row's mean and ``inv_std = 1 /
        sqrt(var + eps)`` for its biased variance, which are written to `mean` and `inv_std` (n,).
        gamma and beta are (m,). The variance is not harmed by a large mean.
        """

    @abstractmethod
    def layer_norm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        mean: Array,
        inv_std: Array,
        dgamma: Array,
        dbeta: Array,
        dx: Array,
    ) -> None:
        """Gradients of layer normalisation, its sums in a fixed order.

        With ``xhat = (x - mean) * inv_std`` and ``g = dy * gamma``: ``dbeta = sum of dy``,
        ``dgamma = sum of dy * xhat``, over rows; ``dx = inv_std * (g - mean of g - xhat * mean of
        (g * xhat))`` with means over the row.
        """

    # ------------------------------------------------------------------ losses

    @abstractmethod
    def softmax_cross_entropy(
        self, z: Array, target: Array, dz: Array, log: Array, counters: Array
    ) -> None:
        """Softmax and cross-entropy of logits, with the gradient, in one pass.

        Parameters
        ----------
        z, dz
            Logits and their gradient, (n, classes): ``dz = (softmax(z) - target) / n``.
        target
            int32 labels (n,), or rows of probabilities (n, classes) that sum to one.
        log
            float64 (steps, 2). Row ``counters[STEP]`` receives the mean loss
            ``-mean(log softmax(z)[target])`` and the number of rows whose largest logit (the first
            of equals) is the target's.
        counters
            int64 (3,).
        """

    @abstractmethod
    def categorical_cross_entropy(
        self, y: Array, target: Array, dy: Array, log: Array, counters: Array, delta: float
    ) -> None:
        """Cross-entropy of probabilities, with the gradient, in one pass.

        For y, target and dy (n, classes): ``-sum(target * log(y + delta)) / n`` and
        ``dy = -target / (y + delta) / n``. `log` as in `softmax_cross_entropy`: an answer is right
        where the largest of a row of `y` (the first of equals) is at the place of the target's.
        """

    @abstractmethod
    def elementwise_loss(
        self,
        kind: str,
        y: Array,
        target: Array,
        dy: Array,
        log: Array,
        counters: Array,
        alpha: float = 0.0,
    ) -> None:
        """Loss of each output against a target of its own, with the gradient, in one pass.

        `kind` is a key of `LOSSES`, which has the formulas, what the mean is over, and whether and
        when an answer counts as right; `alpha` is the `a` in them. y, target and dy are (n, m).
        Row ``counters[STEP]`` of `log` receives the mean loss and the number of right answers.
        """

    # ------------------------------------------------------------------ training

    @abstractmethod
    def dropout(self, x: Array, p: float, key: int, counters: Array, out: Array) -> None:
        """Zero each element with probability `p` and scale the others by ``1 / (1 - p)``.

        The mask is a function of `key`, ``counters[FORWARDS]`` and the element's place
        (Philox4x32-10), the same on every backend: the backward pass calls this again on `dy`
        instead of storing it.
        """

    @abstractmethod
    def sgd(
        self,
        p: Array,
        g: Array,
        velocity: Array | None,
        lr: Array,
        counters: Array,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        """Stochastic gradient descent on a flat buffer, in PyTorch's formulation.

        ``g += weight_decay * p + l1 * sign(p); v = momentum * v + g; p -= lr * (g + momentum * v)``
        (Nesterov) or ``p -= lr * v`` (momentum) or ``p -= lr * g`` (velocity None). The learning
        rate is element ``counters[STEP]`` of the float64 array `lr`, or its only one. `g` is not
        modified.

        A p of a half dtype has a float32 `master`, because a small update would not change it. The
        master is updated, and p is what it rounds to (Micikevicius et al. 2018). Elements of p that
        differ from that before have been set since, and the master first takes their value.
        """

    @abstractmethod
    def adaptive(
        self,
        p: Array,
        g: Array,
        squares: Array,
        lr: Array,
        counters: Array,
        keep: float,
        add: float,
        eps: float,
        weight_decay: float,
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        """AdaGrad (``keep = add = 1``) or RMSProp (``add = 1 - keep``) on a flat buffer.

        ``g += weight_decay * p + l1 * sign(p); squares = keep * squares + add * g**2;
        p -= lr * g / (sqrt(squares) + eps)``. `lr` and `master` as in `sgd`.
        """

    @abstractmethod
    def adam(
        self,
        p: Array,
        g: Array,
        m: Array,
        v: Array,
        lr: Array,
        counters: Array,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        decoupled: bool,
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        """Adam (Kingma & Ba 2015, algorithm 1), or AdamW with decoupled decay, on a flat buffer.

        With ``t = counters[UPDATES] + 1``: ``m = beta1 m + (1 - beta1) g``,
        ``v = beta2 v + (1 - beta2) g**2``,
        ``p -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)``. Weight decay is added
        to `g`, or decoupled: ``p *= 1 - lr * weight_decay`` first (Loshchilov & Hutter 2019).
        `l1`, `lr` and `master` as in `sgd`.
        """

    @abstractmethod
    def accumulate(self, g: Array, total: Array, weight: float, start: bool) -> None:
        """``total = weight * g`` to start with, else ``total += weight * g``, of flat buffers."""

    @abstractmethod
    def sum_of_squares(self, x: Array, total: Array, start: bool) -> None:
        """``total[0] = sum(x**2)`` to start with, else ``total[0] += sum(x**2)``.

        `x` is flat, `total` float64 (1,). The sum has a fixed order.
        """

    @abstractmethod
    def clip(self, x: Array, total: Array, limit: float) -> None:
        """Scale a flat array in place by ``limit / (norm + 1e-6)``, if that is below 1.

        ``norm = sqrt(total[0])``: see `sum_of_squares`. (Pascanu et al. 2013, with PyTorch's and
        the texts' 1e-6.) If the norm is NaN, the array stays as it is.
        """

    @abstractmethod
    def gather(
        self, source: Array, order: Array, counters: Array, batch_size: int, out: Array
    ) -> None:
        """Copy the current mini-batch: row i of `out` is ``source[order[start + i]]``.

        ``start = counters[STEP] * batch_size``; `order` is int64. A uint8 source becomes the
        output's real dtype scaled by 1/255; otherwise the dtypes are equal.
        """

    @abstractmethod
    def advance(self, counters: Array, step: int, updates: int, forwards: int) -> None:
        """Add to the three counters, on the device."""
