"""The layers of images as one writes them by hand in NumPy, the channels last."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bench.peers.numpy_layers import Part


class Convolution(Part):
    """As the texts do it: what the kernels see as rows of a matrix (im2col), and a product."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        w, *bias = self.parameters
        (above, left), (rows, columns) = self.layer.padding, self.layer.stride
        padded = np.pad(x, ((0, 0), (above, above), (left, left), (0, 0)))
        self.padded = padded.shape
        seen = sliding_window_view(padded, w.shape[:2], (1, 2))[:, ::rows, ::columns]
        self.seen = seen.transpose(0, 1, 2, 4, 5, 3).reshape(-1, w[..., 0].size)
        y = self.seen @ w.reshape(-1, w.shape[3])
        if bias:
            y += bias[0]
        return y.reshape(*seen.shape[:3], w.shape[3])

    def backward(self, dy: np.ndarray) -> Any:
        w, *bias = self.parameters
        flat = dy.reshape(-1, w.shape[3])
        self.gradients = [(self.seen.T @ flat).reshape(w.shape)]
        if bias:
            self.gradients.append(flat.sum(axis=0))
        return self.put_back(flat @ w.reshape(-1, w.shape[3]).T, dy.shape) if self.wanted else None

    def put_back(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Add each row of the matrix to the pixels that it was made of (col2im)."""
        kh, kw, channels, _ = self.parameters[0].shape
        (above, left), (down, right) = self.layer.padding, self.layer.stride
        seen = rows.reshape(*shape[:3], kh, kw, channels)
        dx = np.zeros(self.padded, rows.dtype)
        for p in range(kh):
            for q in range(kw):
                ends = p + down * shape[1], q + right * shape[2]
                dx[:, p : ends[0] : down, q : ends[1] : right] += seen[:, :, :, p, q]
        return dx[:, above : dx.shape[1] - above, left : dx.shape[2] - left]


class Largest(Part):
    """Of windows beside each other."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        (h, w), (_, height, width, channels) = self.layer.size, x.shape
        self.shape, self.cut = x.shape, (height // h * h, width // w * w)
        inside = x[:, : self.cut[0], : self.cut[1]]
        self.windows = (len(x), height // h, h, width // w, w, channels)
        seen = inside.reshape(self.windows).transpose(0, 1, 3, 5, 2, 4)
        seen = seen.reshape(*seen.shape[:4], h * w)
        self.place = seen.argmax(axis=4)[..., None]
        return np.take_along_axis(seen, self.place, 4)[..., 0]

    def backward(self, dy: np.ndarray) -> Any:
        h, w = self.layer.size
        seen = np.zeros((*dy.shape, h * w), dy.dtype)
        np.put_along_axis(seen, self.place, dy[..., None], 4)
        n, rows, _, columns, _, channels = self.windows
        inside = seen.reshape(n, rows, columns, channels, h, w).transpose(0, 1, 4, 2, 5, 3)
        dx = np.zeros(self.shape, dy.dtype)
        dx[:, : self.cut[0], : self.cut[1]] = inside.reshape(n, *self.cut, channels)
        return dx


class Mean(Part):
    """Of each channel."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy: np.ndarray) -> Any:
        pixels = self.shape[1] * self.shape[2]
        return np.broadcast_to((dy / pixels)[:, None, None], self.shape)


class Normalized(Part):
    """By the batch's statistics; running averages, which training does not read, are left out."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        gamma, beta = self.parameters
        centered = x - mean_of_columns(x)
        variance = mean_of_columns(np.square(centered))
        self.deviation = np.sqrt(variance + np.float32(self.layer.eps))
        self.xhat = centered / self.deviation
        return self.xhat * gamma + beta

    def backward(self, dy: np.ndarray) -> Any:
        n = dy.size // dy.shape[-1]
        of_dy, of_both = mean_of_columns(dy), mean_of_columns(dy * self.xhat)
        self.gradients = [n * of_both, n * of_dy]
        return (dy - of_dy - self.xhat * of_both) * (self.parameters[0] / self.deviation)


def mean_of_columns(x: np.ndarray) -> np.ndarray:
    """Of each channel over all images, added up in float64: NumPy adds rows one after the other."""
    mean: np.ndarray = x.mean(axis=(0, 1, 2), dtype=np.float64).astype(x.dtype)
    return mean
