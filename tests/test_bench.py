"""The benchmarks: equal work, honest records, comparisons that notice. No test asserts a time."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import nnkit
from bench import (
    check,
    compare,
    compile,
    kernels,
    launches,
    machine,
    peers,
    report,
    results,
    run,
    smoke,
    start,
    summaries,
    timing,
    worker,
)
from bench.children import Child, PeerError
from bench.convolutional import CONVOLUTIONAL, ConvNetwork
from bench.gathered import layer_products
from bench.networks import (
    NAMED,
    NETWORKS,
    Network,
    data_for,
    initial_weights,
    load_data,
    order,
)
from bench.peers.numpy_by_hand import NumpyByHand
from nnkit import bench as short
from nnkit import dtypes, openblas
from nnkit.backends import get_backend
from nnkit.backends.contract import CaptureError
from nnkit.backends.numpy import NumpyBackend
from nnkit.cli import cli
from nnkit.kernels import cuda
from tests.device import fake_cupy, nvrtc, simulator

ROOT = Path(__file__).parents[1]
STEPS = 6
IMAGE = (5, 4, 1)


def pooled(image, **options):
    """Convolution, pooling with a remainder, and flattening."""
    layers = [nnkit.Image(*image), nnkit.Conv2d(1, 6, 3, padding=1), nnkit.ReLU()]
    layers += [nnkit.MaxPool2d(2), nnkit.Flatten(), nnkit.Linear(24, 10)]
    return nnkit.Sequential(*layers, **options)


def residual(image, **options):
    """Normalisation, a block that halves the image, one that does not, and means."""
    layers = [nnkit.Image(*image), nnkit.Conv2d(1, 4, 3, padding=1, bias=False)]
    layers += [nnkit.BatchNorm2d(4), nnkit.ReLU()]
    shortcut = nnkit.Sequential(nnkit.Conv2d(4, 6, 1, 2), nnkit.BatchNorm2d(6), **options)
    halving = [nnkit.Conv2d(4, 6, 3, 2, padding=1), nnkit.ReLU(), nnkit.Conv2d(6, 6, 1)]
    layers += [nnkit.Residual(*halving, shortcut=shortcut), nnkit.ReLU()]
    layers += [nnkit.Residual(nnkit.Conv2d(6, 6, 3, padding=1), nnkit.BatchNorm2d(6))]
    return nnkit.Sequential(*layers, nnkit.GlobalAvgPool2d(), nnkit.Linear(6, 10), **options)


SMALL = {
    "SGD": Network("small-sgd", (20, 12, 10), 8, "SGD", 0.1, STEPS),
    "Adam": Network("small-adam", (20, 12, 9, 10), 8, "Adam", 1e-3, STEPS),
    "images": ConvNetwork("small-images", "images", pooled, IMAGE, 8, STEPS),
    "residual": ConvNetwork("small-residual", "residual", residual, IMAGE, 8, STEPS, "SGD", 0.1),
}
WITHOUT_EPSILON = {"sklearn": 2e-3}
"""Peers whose Adam is a variant of the others', and how far that may lead in a few steps."""


@pytest.fixture
def data(rng):
    n = STEPS * 8
    return rng.random((n, 20), np.float32), rng.integers(0, 10, n)


# ---------------------------------------------------------------------- equal work


@pytest.mark.filterwarnings("ignore")  # of other frameworks
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("key", peers.PEERS["cpu"])
def test_peers_train_alike(key, name, data):
    """Same losses in every step of two epochs: same weights, batches, loss and update."""
    try:
        cls = peers.load(key)
    except ImportError as error:
        pytest.skip(str(error))
    network = SMALL[name]
    if not cls.takes(network):
        pytest.skip(f"{cls.name} has no such networks")
    peer = cls(network, initial_weights(network), *data)
    reference = NumpyByHand(network, initial_weights(network), *data)
    tolerance = WITHOUT_EPSILON.get(key, 2e-5) if name == "Adam" else 2e-5
    for epoch in range(2):
        losses = peer.run(epoch)
        assert losses.shape == (STEPS,)
        if peer.trains:
            np.testing.assert_allclose(losses, reference.run(epoch), atol=tolerance)
    peer.close()


@pytest.mark.filterwarnings("ignore")
def test_the_first_updates_of_adam_in_jax(rng):
    """To the last digit: Optax's own are off by 7e-6 of their size."""
    jax, adam = pytest.importorskip("jax"), pytest.importorskip("bench.peers.jax_adam").adam
    optimizer, m, v = adam(0.1), 0.0, 0.0
    state = optimizer.init(jax.numpy.zeros(50))
    for t in (1, 2, 3):
        gradient = rng.standard_normal(50).astype(np.float32)
        updates, state = optimizer.update(jax.numpy.array(gradient), state)
        g = gradient.astype(np.float64)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        wanted = -0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(updates, wanted, rtol=1e-6, atol=1e-8)


def test_trainer_in_a_thread_passes_its_errors_on(data):
    peer = peers.load("nnkit-numpy")(SMALL["SGD"], initial_weights(SMALL["SGD"]), *data)
    with pytest.raises(ValueError, match="epoch 0, not 1"):
        peer.run(1)
    peer.close()
    assert not peer.thread.is_alive()


def test_reference_differs_for_other_weights_or_order(data):
    network = SMALL["SGD"]
    losses = NumpyByHand(network, initial_weights(network), *data).run(0)
    assert (
        np.abs(NumpyByHand(network, initial_weights(network), *data).run(1) - losses).max() > 0.01
    )
    others = [2 * value for value in initial_weights(network)]
    assert np.abs(NumpyByHand(network, others, *data).run(0) - losses).max() > 0.01


def test_networks():
    assert [n.label for n in NETWORKS.values()] == [
        "784-100-10, batch 8, SGD",
        "784-100-10, batch 100, SGD",
        "784-256-128-10, batch 128, Adam",
        "784-1024-1024-10, batch 256, Adam",
        "784-10x32-10, batch 32, Adam",
    ]
    for network in NAMED.values():
        examples = len(data_for(network).x)
        assert network.steps <= examples // network.batch_size
        assert network.steps >= compare.CHECKED_STEPS or network.name == "resnet20"
    assert SMALL["SGD"].flops == 2 * 8 * (2 * 20 * 12 + 3 * 12 * 10)


def test_networks_of_convolutions():
    assert [n.label for n in CONVOLUTIONAL.values()] == [
        "5x5x30-100-10, batch 100, Adam",
        "LeNet-5, batch 64, Adam",
        "3x3x32-3x3x64-128-10, batch 128, Adam",
        "ResNet-20, batch 128, Adam",
    ]
    first = 28 * 28 * 25 * 6
    others = 10 * 10 * 150 * 16 + 400 * 120 + 120 * 84 + 84 * 10
    assert CONVOLUTIONAL["lenet"].flops == 2 * 64 * (2 * first + 3 * others)
    sizes = [sum(w.size for w in initial_weights(n)) for n in CONVOLUTIONAL.values()]
    assert sizes == [433_890, 61_706, 421_642, 272_474]


def test_products_of_a_convolution():
    """The first one's input needs no gradient; none has a bias or an activation."""
    backend = get_backend("numpy")
    called = []

    class Listening:
        asarray, empty = backend.asarray, backend.empty

        def convolution(self, kind, x, weight, bias, *others):
            called.append(("forward", kind, bias))

        def convolution_backward(self, kind, dy, *others):
            *_, dweight, dbias, dx = others
            called.append(("backward", kind, dweight.shape, dbias, dx is not None))

    layer = nnkit.Conv2d(3, 2, 3)
    for first in (True, False):
        for call in layer_products(Listening(), layer, (4, 5, 5, 3), first):
            call()
    forward = ("forward", "identity", None)
    backward = ("backward", "identity", (3, 3, 3, 2), None)
    assert called == [forward, (*backward, False), forward, (*backward, True)]


def test_data_are_images(monkeypatch, tmp_path):
    monkeypatch.setenv("NNKIT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = load_data.__wrapped__(50)
    assert found.source == "random images of MNIST's shape"
    assert found.x.shape == (50, 784)
    assert found.x.dtype == np.float32
    assert found.x.min() >= 0
    assert found.x.max() <= 1
    assert set(found.t) <= set(range(10))
    assert found.first(7).x.shape == (7, 784)


def test_photos_have_the_shape_of_cifar():
    found = data_for(CONVOLUTIONAL["resnet20"])
    assert found.source == "random images of CIFAR-10's shape"
    assert found.x.shape == (6_400, 3072)
    assert data_for(CONVOLUTIONAL["lenet"]) is load_data()


def test_order_is_a_permutation_of_its_epoch():
    assert sorted(order(3, 20)) == list(range(20))
    assert list(order(3, 20)) != list(order(4, 20))


# ---------------------------------------------------------------------- kernels

SMALL_CASES = (
    *(kernels.activation(kind, 5, 7) for kind in ("relu", "sigmoid", "tanh")),
    kernels.softmax_cross_entropy(6, 10),
    kernels.sgd(33),
    kernels.adam(33),
    replace(kernels.gather("uint8", 4, 9), size="small"),
    kernels.dropout(65),
)


@pytest.mark.parametrize("case", SMALL_CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("plain", [False, True], ids=["fused", "plain"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_kernels_are_checked_against_the_reference(backend, simulated, case, plain, large):
    if plain and case.random and simulated:
        pytest.skip("the look-alike of CuPy has no such random numbers")
    kernels.prepare(replace(case, large=large), backend, plain)()


def mistaken(case, mistake):
    """A case that makes a mistake in float32, and so not in its reference."""

    def fused(backend, a):
        before = SimpleNamespace(**{k: v.copy() for k, v in vars(a).items()})
        case.fused(backend, a)
        if getattr(a, case.outputs[0]).dtype == np.float32:
            mistake(a, before)

    return replace(case, fused=fused)


def one_percent(name):
    """A mistake in one of an array's numbers, neither its largest nor near zero."""

    def mistake(a, before):
        numbers = getattr(a, name).reshape(-1)
        numbers[np.argsort(abs(numbers))[numbers.size * 3 // 4]] *= 1.01

    return mistake


def only_targets(a, before):
    rows = np.arange(len(a.dz))
    kept = a.dz[rows, a.target]
    a.dz[...] = 0
    a.dz[rows, a.target] = kept


def one_more_right(a, before):
    a.log[0, 1] += 1


def wrong_loss(a, before):
    a.log[0, 0] *= 1.001


def smaller_step(a, before):
    a.p += (before.p - a.p) / 10


def nan(a, before):
    a.v[5] = np.nan


def one_kept(a, before):
    a.y[np.argmin(abs(a.y))] = 1


def next_row(a, before):
    a.out[0] = a.source[a.order[1]] / np.float32(255)


MANY_CLASSES = kernels.softmax_cross_entropy(64, 2000)
MISTAKES = [
    *((case, one_percent(name), name) for case in SMALL_CASES for name in case.outputs),
    *((MANY_CLASSES, one_percent(name), name) for name in ("dz", "log")),
    (MANY_CLASSES, only_targets, "dz"),
    (MANY_CLASSES, one_more_right, "log"),
    (MANY_CLASSES, wrong_loss, "log"),
    (kernels.sgd(33), smaller_step, "p"),
    (kernels.adam(33), smaller_step, "p"),
    (kernels.adam(33), nan, "v"),
    (kernels.dropout(65), one_kept, "y"),
    (kernels.gather("uint8", 4, 9), next_row, "out"),
]


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize(
    ("case", "mistake", "name"),
    MISTAKES,
    ids=[f"{case.title}-{mistake.__name__}-{name}" for case, mistake, name in MISTAKES],
)
def test_a_wrong_kernel_is_noticed(case, mistake, name, large):
    """In every output. Large cases are compared with their own plain code in float64."""
    wrong = mistaken(replace(case, large=large), mistake)
    with pytest.raises(AssertionError, match=rf": {name}: \d+ of \d+ numbers are wrong"):
        kernels.prepare(wrong, get_backend("numpy"))


def test_what_is_wrong_is_said():
    wrong = mistaken(kernels.adam(33), nan)
    with pytest.raises(AssertionError, match=r"Adam.*: v: 1 of 33 .* the first at 5: nan in"):
        kernels.prepare(wrong, get_backend("numpy"))


def test_every_kernel_is_listed_once():
    titles = [case.title for case in (*kernels.CASES, *kernels.LARGE_CASES)]
    assert len(set(titles)) == len(titles)
    assert all(case.nbytes >= case.footprint > 0 for case in kernels.CASES)
    assert all(case.nbytes >= 64 * 2**20 for case in kernels.LARGE_CASES)


# ---------------------------------------------------------------------- records


def row(name="small / numba / captured", seconds=1e-3, yardstick=5e-4, **others):
    return {"name": name, "seconds": seconds, "yardstick": yardstick, **others}


def steps_record(*rows):
    full = [
        row(**r, label="784-100-10", network="small", backend="numba", version="captured")
        | {"gflops": 1.0, "images_per_second": 10.0}
        for r in rows or [{}]
    ]
    return results.make("steps", full, settings={"threads": 2, "data": "MNIST"})


def test_record_says_what_it_was_made_with(tmp_path):
    record = steps_record()
    path = results.save(record, tmp_path)
    assert path == tmp_path / record["machine"]["kind"] / f"{record['date']}-steps.json"
    assert results.load(path) == record
    assert record["versions"]["numpy"] == np.__version__
    assert record["versions"]["nnkit"] == nnkit.__version__
    assert record["machine"]["cores"] >= 1
    assert record["settings"]["data"] == "MNIST"


def test_record_does_not_name_the_host(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "secret-host-name")
    monkeypatch.setenv("HOSTNAME", "secret-host-name")
    assert "secret" not in results.save(steps_record(), tmp_path).read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"what": "weather"}, "not of 'weather'"),
        ({"machine": {}}, "kind of machine"),
        ({"results": [row(), row()]}, "two results have one name"),
        ({"results": [row(seconds=0)]}, "must be positive"),
        ({"results": [row(yardstick=-1)]}, "must be positive"),
        ({"extra": 1}, "has the fields"),
    ],
)
def test_invalid_records_are_refused(tmp_path, change, message):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**steps_record(), **change}))
    with pytest.raises(ValueError, match=message) as caught:
        results.load(path)
    assert str(path) in str(caught.value)


def test_latest_is_by_date_kind_and_what(tmp_path):
    old, new = ({**steps_record(), "date": date} for date in ("2024-12-31", "2025-01-01"))
    other = {**new, "date": "2025-06-01", "machine": {"kind": "another"}}
    paths = [results.save(record, tmp_path) for record in (new, old, other)]
    kind = old["machine"]["kind"]
    assert results.latest("steps", kind, tmp_path) == new
    assert results.latest("steps", folder=tmp_path) == other
    assert results.latest("steps", kind, tmp_path, exclude=[paths[0].resolve()]) == old
    assert results.latest("kernels", kind, tmp_path) is None


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "intel-xeon-platinum-8375c"),
        ("AMD EPYC 9654 96-Core Processor", "amd-epyc-9654"),
        ("NVIDIA H100 80GB HBM3", "nvidia-h100-80gb-hbm3"),
    ],
)
def test_slug(name, slug):
    assert machine.slug(name) == slug


AVX512, AVX2 = "sse2 avx avx2 avx512f", "sse2 avx avx2"


@pytest.mark.parametrize(
    ("flags", "register_bytes", "kernels", "kind"),
    [
        (AVX512, 64, None, "amd-zen-avx512-2-cores"),
        (AVX512, 32, None, "amd-zen-avx512-as-avx2-2-cores"),
        (AVX512, 16, None, "amd-zen-avx512-as-sse2-2-cores"),
        (AVX512, 64, "Haswell", "amd-zen-avx512-as-avx2-2-cores"),
        (AVX512, 64, "SkylakeX", "amd-zen-avx512-2-cores"),
        (AVX512, 16, "Haswell", "amd-zen-avx512-as-sse2-2-cores"),
        (AVX2, 32, "Haswell", "amd-zen-2-cores"),
        (AVX2, 16, None, "amd-zen-as-sse2-2-cores"),
        ("sse2 avx", 32, None, "amd-zen-2-cores"),
        ("", 16, None, "amd-zen-2-cores"),  # no x86
    ],
)
def test_a_machine_told_to_do_without_some_vectors_is_of_another_kind(
    monkeypatch, flags, register_bytes, kernels, kind
):
    """So results with NUMBA_CPU_FEATURES for AVX2 are not compared with those of all vectors."""
    pytest.importorskip("numba")
    from nnkit.kernels.numba.codegen import processor

    found = {"model name": "AMD Zen", "flags": flags}
    monkeypatch.setattr(machine, "_first_processor", lambda _: found)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(processor, "REGISTER_BYTES", register_bytes)
    monkeypatch.delenv(openblas.VARIABLE, raising=False)
    if kernels:  # that the user has set
        monkeypatch.setenv(openblas.VARIABLE, kernels)
        monkeypatch.setattr(machine, "loaded_kernels", lambda: kernels)
    monkeypatch.setattr(
        machine, "cpu_features", lambda: ["AVX512_SKX"] if "avx512f" in flags else []
    )
    assert machine.describe()["kind"] == kind


# ---------------------------------------------------------------------- regressions


@pytest.mark.parametrize(
    ("seconds", "yardstick", "factor"),
    [
        (1.2e-3, 5e-4, 1.2),  # slower, beside a yardstick as fast as before
        (1.2e-3, 6e-4, 1.0),  # everything was slower: a busy machine
        (1.0e-3, 4e-4, 1.0),  # only the yardstick was faster
        (1.2e-3, None, 1.2),
        (0.5e-3, 5e-4, 0.5),
    ],
)
def test_growth_is_the_lesser_of_time_and_ratio(seconds, yardstick, factor):
    fresh = row(seconds=seconds, yardstick=yardstick)
    assert check.growth(fresh, row()) == pytest.approx(factor)


def test_only_our_own_results_count():
    last = {"results": [row("a"), row("b", peer="torch"), row("c", version="plain numpy")]}
    fresh = {"results": [{**r, "seconds": 9e-3} for r in last["results"]]}
    assert check.slower(fresh, last) == {"a": pytest.approx(9)}


def test_repeats_count_where_they_are_faster():
    first, again = {"results": [row("a", 3e-3), row("b")]}, {"results": [row("a", 2e-3)]}
    assert [r["seconds"] for r in check.merge(first, again)["results"]] == [2e-3, 1e-3]
    assert check.merge(again, first)["results"] == again["results"]


def test_suspects_are_measured_again(monkeypatch):
    """A result that is slow once and fast the second time is no regression."""
    last = steps_record({"name": "a"}, {"name": "b"})
    slow = steps_record({"name": "a", "seconds": 2e-3}, {"name": "b"})
    for result in slow["results"]:
        result["test"] = f"test of {result['name']}"
    calls = []

    def fake_run(what, **options):
        calls.append(options.get("tests"))
        return slow if len(calls) == 1 else steps_record({"name": "a"})

    monkeypatch.setattr(check, "run", fake_run)
    options = check.argparse.Namespace(device="cpu", threads=2, select=None)
    assert check.slower(check.measure("steps", last, options), last) == {}
    assert calls == [None, ["test of a"]]


def test_check_of_files(tmp_path, capsys):
    last = {**steps_record({"name": "a"}, {"name": "b"}), "date": "2025-01-01"}
    results.save(last, tmp_path / "recorded")
    slow = steps_record({"name": "a", "seconds": 2e-3}, {"name": "b", "seconds": 5e-4})
    path = results.save(slow, tmp_path / "fresh")
    arguments = [str(path), "--against", str(tmp_path / "recorded")]
    assert check.main(arguments) == check.REGRESSION
    out = capsys.readouterr().out
    assert "SLOWER" in out
    assert "faster" in out
    assert "2.00x" in out
    same = results.save(steps_record({"name": "a"}, {"name": "b"}), tmp_path / "fresh")
    assert check.main([str(same), "--against", str(tmp_path / "recorded")]) == 0
    assert "none changed" in capsys.readouterr().out
    assert check.main([str(same), "--against", str(tmp_path)]) == check.NOTHING_TO_COMPARE


# ---------------------------------------------------------------------- tables


def test_report_fills_what_is_between_the_markers(tmp_path):
    results.save(steps_record(), tmp_path)
    text = "before\n<!-- bench:steps -->\nold\n<!-- bench:end -->\nafter\n"
    filled = report.fill(text, tmp_path)
    assert "old" not in filled
    assert "| 784-100-10 | numba | captured | 1,000 | 1.0 | 2.00 | 10 |" in filled
    assert f"numpy {np.__version__}" in filled
    assert filled.startswith("before\n<!-- bench:steps -->\n")
    assert filled.endswith("<!-- bench:end -->\nafter\n")
    assert report.fill(filled, tmp_path) == filled


def test_report_is_of_the_kind_of_machine_that_the_marker_names(tmp_path):
    record = steps_record()
    results.save({**record, "date": "2025-01-01"}, tmp_path)
    results.save({**record, "date": "2025-06-01", "machine": {"kind": "a-gpu"}}, tmp_path)
    marker = f"<!-- bench:steps {record['machine']['kind']} -->\n<!-- bench:end -->"
    assert "2025-01-01" in report.fill(marker, tmp_path)


def test_tables_of_the_documentation_name_their_machine():
    """Otherwise those of a GPU would come under what is said of a CPU."""
    for name in ("README.md", "docs/performance.md", "docs/scaling.md"):
        found = list(report.MARKED.finditer((ROOT / name).read_text()))
        assert found
        assert all(marker[3] for marker in found)


def test_caption_names_cupy_and_cuda_where_they_were_used():
    record = steps_record()
    record["versions"] = {"numpy": "2.4.6", "cupy-cuda13x": "14.2.0", "cuda-runtime": "13.0"}
    record["machine"] = {"kind": "a-gpu", "gpu": "A GPU"}
    assert "*A GPU; MNIST; numpy 2.4.6, cupy 14.2.0, cuda-runtime 13.0; " in report.caption(record)
    record["machine"] = {"kind": "a-cpu", "cpu": "A CPU"}
    assert "cupy" not in report.caption(record)


def test_versions_of_cuda_are_recorded_without_paths():
    with fake_cupy.installed():
        found = machine.versions("cuda")
    assert (found["cuda-runtime"], found["cuda-driver"]) == ("12.9", "13.0")
    assert found["cublaslt"] == "12.9.1"
    assert "/" not in "".join(found.values())
    assert "cublaslt" not in machine.versions()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no marker", "no table to fill"),
        ("<!-- bench:stops -->\n<!-- bench:end -->", "no table 'stops'"),
        ("<!-- bench:ratios -->\n<!-- bench:end -->", "no results of compare"),
        ("<!-- bench:steps vax -->\n<!-- bench:end -->", "recorded on vax"),
    ],
)
def test_report_refuses(tmp_path, text, message):
    results.save(steps_record(), tmp_path)
    with pytest.raises(report.ReportError, match=message):
        report.fill(text, tmp_path)


def test_report_check_changes_nothing(tmp_path, capsys):
    results.save(steps_record(), tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- bench:steps -->\nold\n<!-- bench:end -->\n")
    arguments = [str(page), "--results", str(tmp_path)]
    assert report.main([*arguments, "--check"]) == 1
    assert "old" in page.read_text()
    assert report.main(arguments) == 0
    assert report.main([*arguments, "--check"]) == 0


def test_tables_of_kernels():
    values = {"case": "Adam, 1 M", "gb_per_second": 20.0, "share_of_copy": 0.8}
    rows = [
        row("Adam, 1 M / plain numpy", 4e-3, version="plain numpy", **values),
        row("Adam, 1 M / numba", 1e-3, version="numba", **values),
    ]
    record = results.make("kernels", rows, settings={"threads": 2})
    head, body = summaries.kernels(record)
    assert head[-1] == "times plain NumPy"
    assert body[1][-1] == "4.0x"
    assert "80% (Adam, 1 M)" in summaries.headline(record)
    on_gpu = [
        row("Adam, 1 M / plain cupy", 6e-5, version="plain cupy", **values),
        row("Adam, 1 M / cupy", 2e-5, version="cupy", **values),
    ]
    head, body = summaries.kernels({**record, "results": on_gpu})
    assert head[-1] == "times plain CuPy"
    assert [line[-1] for line in body] == ["1.0x", "3.0x"]
    head, body = summaries.kernels({**record, "results": [*rows, *on_gpu]})
    assert head[-1] == "times plain NumPy or CuPy"
    assert [line[-1] for line in body] == ["1.0x", "4.0x", "1.0x", "3.0x"]
    assert summaries.kernels({**record, "results": []})[1] == []


# ---------------------------------------------------------------------- processes


def test_worker_answers_requests():
    network = NETWORKS["deep"]
    requests = [{"build": "deep", "steps": 50}, {"run": 1}, {"run": 7}, {"close": True}]
    answers = io.StringIO()
    worker.serve("nnkit-numpy", io.StringIO("\n".join(map(json.dumps, requests))), answers)
    hello, built, ran, failed, closed = map(json.loads, answers.getvalue().splitlines())
    assert hello["name"] == "nnkit, NumPy"
    assert built["losses"][49] == pytest.approx(compare.reference_loss(network, 50), abs=1e-3)
    assert ran["seconds"] > 0
    assert "not 7" in failed["error"]
    assert closed == {}


def test_comparison_reports_absent_failed_and_idle_peers(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(peers.CLASSES, "no-such", "no_such:Peer")
    keys = "nnkit-numpy,numpy,products,no-such"
    arguments = ["--networks", "deep", "--peers", keys, "--rounds", "2", "--steps", "50"]
    assert compare.main([*arguments, "--output", str(tmp_path)]) == 0
    (path,) = tmp_path.rglob("*.json")
    record = results.load(path)
    assert record["settings"]["absent"].keys() == {"no-such"}
    assert [r["peer"] for r in record["results"]] == ["nnkit-numpy", "numpy", "products"]
    ours, by_hand, products = record["results"]
    assert ours["ratio"] == {"median": 1, "min": 1, "max": 1}
    assert ours["loss"] == pytest.approx(by_hand["loss"], abs=1e-3)
    assert ours["yardstick"] == products["seconds"]
    assert len(by_hand["rounds"]) == 2
    out = capsys.readouterr().out
    assert "absent: no-such" in out
    assert "NumPy by hand" in out
    if importlib.util.find_spec("matplotlib"):
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_networks_are_chosen_by_name_or_group():
    assert compare.chosen_networks("linear") == list(NETWORKS)
    assert compare.chosen_networks("small,convolutional") == ["small", *CONVOLUTIONAL]
    with pytest.raises(ValueError, match="no network 'lenet5' to compare: choose some of linear,"):
        compare.chosen_networks("lenet5")


def test_comparison_of_convolutions_is_a_record_of_its_own(tmp_path):
    """Peers that cannot have such a network are left out of it."""
    record = compare.run(["lenet"], ["nnkit-numpy", "products"], rounds=1, steps=2)
    assert record["settings"]["failed"] == {}
    assert record["what"] == "convolutional"
    assert [r["peer"] for r in record["results"]] == ["nnkit-numpy", "products"]
    assert results.save(record, tmp_path).name.endswith("-convolutional.json")
    assert "LeNet-5, batch 64, Adam" in summaries.show(record)
    assert "times as long as nnkit" in summaries.headline(record)
    comparison = compare.Comparison(["nnkit-numpy"], "cpu", 1)
    comparison.children["nnkit-numpy"].hello["takes"].remove("lenet")
    assert comparison.measure(NAMED["lenet"], 1, 2) == []
    assert comparison.failed == {}
    comparison.close()


TWO_BENCHMARKS = """
def test_first(benchmark):
    benchmark(int)
    benchmark.extra_info.update(name="first", seconds=1e-3, yardstick=None)

def test_second(benchmark):
    raise AssertionError
"""


def test_comparison_keeps_each_network_as_soon_as_it_is_measured(tmp_path):
    """They build it as on a GPU."""
    kept = []
    comparison = compare.Comparison(["nnkit-numpy", "numpy"], "cpu", 1)
    comparison.device = "cuda"
    comparison.children["nnkit-numpy"].hello["builds_alone"] = True
    assert [[child.key for child in group] for group in comparison._groups()] == [
        ["numpy"],
        ["nnkit-numpy"],
    ]
    turns = comparison._prepare(NETWORKS["deep"], 50)
    comparison.close()
    assert list(turns) == ["nnkit-numpy", "numpy"]
    networks = ["deep", "tiny-batch"]
    record = compare.run(networks, ["nnkit-numpy"], rounds=1, steps=50, keep=kept.append)
    assert [len(r["results"]) for r in (*kept, record)] == [1, 2]
    assert "partial" not in record["settings"]
    assert "PARTIAL" in summaries.show(results.load(results.save(kept[0], tmp_path)))
    assert report.caption(kept[0]).endswith("; not all was measured.*")


def test_suite_keeps_each_result_as_soon_as_it_is_measured(monkeypatch, tmp_path):
    """One right kernel and one that fails."""
    suite = tmp_path / "test_two.py"
    suite.write_text(TWO_BENCHMARKS)
    kept = []
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--rootdir={ROOT} -c {ROOT / 'pyproject.toml'}")
    with pytest.raises(run.SuiteError, match="ended with code 1") as caught:
        run.run("kernels", tests=[str(suite), "-p", "bench.conftest"], keep=kept.append)
    record = results.load(results.save(kept[-1], tmp_path))
    assert record == caught.value.record
    assert [r["name"] for r in record["results"]] == ["first"]
    assert record["settings"]["partial"]


def test_peer_with_another_loss_is_not_timed(monkeypatch):
    monkeypatch.setattr(compare, "reference_loss", lambda network, steps: 99.0)
    record = compare.run(["deep"], ["nnkit-numpy"], rounds=1, steps=50)
    assert record["results"] == []
    assert "not 99.0" in record["settings"]["failed"]["deep / nnkit-numpy"]


def test_child_that_ends_is_an_error():
    child = Child("numpy", "cpu", 1)
    child.greet()
    child.process.kill()
    child.process.wait()
    with pytest.raises(PeerError, match="ended with code -9"):
        child.ask(run=1)
    child.stop()


def test_ratios_are_those_of_one_round():
    assert compare.spread([2, 6, 4], [1, 2, 4]) == {"median": 2, "min": 1, "max": 3}


def test_suites_name_what_they_time():
    """Collect them, as on a GPU, without timing anything."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    # Of a worker of pytest-xdist, the child would take itself for one.
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment = {**ours, "NNKIT_BENCH_BACKENDS": "numpy", "NNKIT_BENCH_DEVICE": "cuda"}
    done = subprocess.run(
        [*command, *(f"bench/test_{what}.py" for what in run.SUITES)],
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "bench/test_steps.py::test_epoch[large-numpy]" in done.stdout
    titles = [case.title for case in (*kernels.LARGE_CASES, *kernels.CASES)]
    found = [line.partition("::test_kernel")[2] for line in done.stdout.splitlines()]
    expected = [f"[{title}-{version}]" for title in titles for version in ("plain numpy", "numpy")]
    assert [line for line in found if line] == expected


# ---------------------------------------------------------------------- nnkit.bench, nnkit.openblas


def test_short_benchmark():
    found = short.run(networks=["deep"], backends=["numpy"], rounds=1, steps=3)
    (step,) = found["steps"]
    assert step["network"] == NETWORKS["deep"].label
    assert step["images_per_second"] == pytest.approx(32e6 / step["microseconds"])
    assert [kernel["backend"] for kernel in found["kernels"]] == ["numpy"] * 3
    assert all(kernel["share_of_copy"] > 0 for kernel in found["kernels"])
    json.dumps(found)
    text = short.format_results(found)
    assert "784-10x32-10, batch 32, Adam" in text
    assert max(map(len, text.splitlines())) <= 100


def test_short_benchmark_model_is_the_network():
    network = SMALL["Adam"]
    model = network.model("numpy")
    assert [p.shape for p in model.parameters()] == [(20, 12), (12,), (12, 9), (9,), (9, 10), (10,)]
    assert model.out_features == 10
    assert isinstance(network.make_optimizer(), nnkit.Adam)


def test_openblas_is_helped_where_it_leaves_avx512_unused(monkeypatch):
    monkeypatch.delenv(openblas.VARIABLE, raising=False)
    monkeypatch.setattr(openblas, "cpu_features", lambda: ["AVX2", "AVX512_SKX"])
    monkeypatch.setattr(openblas, "loaded_kernels", lambda: "Haswell")
    assert openblas.environment() == {"OPENBLAS_CORETYPE": "SkylakeX"}
    monkeypatch.setattr(openblas, "loaded_kernels", lambda: "SkylakeX")
    assert openblas.environment() == {}
    monkeypatch.setattr(openblas, "loaded_kernels", lambda: "")
    assert openblas.environment() == {}
    monkeypatch.setattr(openblas, "loaded_kernels", lambda: "Haswell")
    monkeypatch.setattr(openblas, "cpu_features", lambda: ["AVX2"])
    assert openblas.environment() == {}
    monkeypatch.setattr(openblas, "cpu_features", lambda: ["AVX2", "AVX512_SKX"])
    monkeypatch.setenv(openblas.VARIABLE, "Zen")
    assert openblas.environment() == {}


RESTARTED = """
import os, sys
from nnkit import openblas
openblas.environment = lambda: {"OPENBLAS_CORETYPE": "Haswell"}
openblas.products_are_right = lambda: %s
sys.platform = "%s"
openblas.choose_kernels()
print(sys.argv[1:], os.environ.get("OPENBLAS_CORETYPE"), os.environ["NNKIT_OPENBLAS"])
sys.exit(7)
"""


@pytest.mark.parametrize("system", [sys.platform, "win32"])
@pytest.mark.parametrize(
    ("right", "outcome"), [(True, "Haswell chosen"), (False, "None rejected")], ids=str
)
def test_process_starts_again_with_other_kernels(right, outcome, system):
    """Once with the kernels, and once more without them if a product is wrong."""
    clean = {k: v for k, v in os.environ.items() if k not in (openblas.VARIABLE, openblas.STATE)}
    command = [sys.executable, "-c", RESTARTED % (right, system), "an", "an argument"]
    done = subprocess.run(command, check=False, cwd=ROOT, env=clean, capture_output=True, text=True)
    assert done.stdout == f"['an', 'an argument'] {outcome}\n", done.stderr
    assert done.returncode == 7


def test_products_are_checked(monkeypatch):
    assert openblas.products_are_right()
    multiply = np.matmul

    def wrong(a, b):
        product = multiply(a, b)
        if product.dtype == np.float32 and not a.flags.c_contiguous:
            product[3, 5] += 1
        return product

    monkeypatch.setattr(openblas.np, "matmul", wrong)
    assert not openblas.products_are_right()


def test_loaded_kernels_has_a_name():
    from threadpoolctl import threadpool_info

    uses_openblas = any(lib["internal_api"] == "openblas" for lib in threadpool_info())
    assert bool(openblas.loaded_kernels()) == uses_openblas


def test_the_command_prints_tables_or_json(monkeypatch):
    measured = short.run(networks=["tiny-batch"], backends=["numpy"], rounds=1, steps=2)
    asked = []
    monkeypatch.setattr(short, "run", lambda **options: asked.append(options) or measured)
    table = CliRunner().invoke(cli, ["bench", "--backend", "numpy", "--rounds", "2"])
    assert table.exit_code == 0
    assert "x products" in table.stdout
    as_json = CliRunner().invoke(cli, ["bench", "--json"])
    assert json.loads(as_json.stdout)["steps"] == measured["steps"]
    assert asked == [{"backends": ("numpy",), "rounds": 2}, {"backends": None, "rounds": 3}]


def test_products_are_timed_beside_those_of_blas(monkeypatch, tmp_path):
    pytest.importorskip("numba")
    from bench import products

    monkeypatch.setattr(products, "SECONDS", 1e-5)
    rows = products.measure(products.create(), 3, 20, 10)
    assert [row["formula"] for row in rows] == ["x @ W", "x.T @ dz", "dz @ W.T"]
    for row in rows:
        assert row["gflops"] == pytest.approx(2 * 3 * 20 * 10 / row["seconds"] / 1e9)
    record = results.make("products", rows, settings={"threads": 1})
    head, body = summaries.products(record)
    assert len(head) == 4
    assert [row[0] for row in body] == ["20 to 10, batch 3"]
    assert results.load(results.save(record, tmp_path)) == record


# ---------------------------------------------------------------------- on a GPU


class TimedEvent:
    """An event of a GPU that had done its work before the next was issued."""

    done = True

    def __init__(self, order):
        self.order = order

    def record(self):
        self.order.append("event")

    def synchronize(self):
        pass


def test_device_time_is_that_of_calls_behind_a_delay(monkeypatch):
    order, delays = [], []
    with fake_cupy.installed() as cupy:
        monkeypatch.setattr(cupy.cuda, "Event", lambda: TimedEvent(order))
        monkeypatch.setattr(cupy.cuda, "get_elapsed_time", lambda begin, end: 3.0)
        monkeypatch.setattr(timing, "MOST_CALLS", 3)
        monkeypatch.setattr(timing, "spin", lambda s: (order.append("delay"), delays.append(s)))
        seconds = timing.device_seconds(lambda: order.append("call"), rounds=2)
    assert seconds == pytest.approx(1e-3)
    assert order == ["call"] * 2 + ["delay", "event", *["call"] * 3, "event"] * 2
    assert delays == [delays[0], 2 * delays[0]], "too short: the device did not wait"


def test_the_delay_is_calibrated(monkeypatch):
    cycles = []
    timing.cycles_per_second.cache_clear()
    with fake_cupy.installed() as cupy:
        monkeypatch.setattr(cupy.cuda, "get_elapsed_time", lambda begin, end: 2.0)
        monkeypatch.setattr(timing, "_spin", cycles.append)
        timing.spin(0.001)
    timing.cycles_per_second.cache_clear()
    assert cycles == [timing.CALIBRATION, timing.CALIBRATION, timing.CALIBRATION // 2]


@pytest.mark.skipif(nvrtc.unavailable() is not None, reason=str(nvrtc.unavailable()))
def test_the_delay_compiles():
    assert "spin" in nvrtc.compile_nvrtc(timing.SPIN, "compute_90").ptx


@pytest.mark.skipif(simulator.unavailable() is not None, reason=str(simulator.unavailable()))
def test_plain_code_is_compiled(monkeypatch):
    """The same work on small arrays; random numbers fail, and are said to."""
    small = {case.title: replace(case, large=True) for case in SMALL_CASES}
    monkeypatch.setattr(compile, "CASES", small)
    with fake_cupy.installed():
        jobs = compile.all_jobs()
        chosen = [name for name in jobs if name.startswith(("plain ", "float64 "))]
        wrong = {name: compile.attempt(*jobs[name])[1] for name in chosen}
    assert len(chosen) == 2 * len(small) - 1
    assert all("softmax" in name for name in chosen[:2])
    assert [name for name, why in wrong.items() if why] == [f"plain {SMALL_CASES[-1].title}"]


def test_real_sizes_are_compiled():
    jobs = compile.all_jobs().values()
    assert {job[1] for job in jobs if job[0] == compile.run_plain} == {
        case.title for case in (*kernels.CASES, *kernels.LARGE_CASES)
    }


def test_smoke(backend, small, capsys):
    """Every operation and kernel in every dtype; the next test has float32."""
    if backend.name == "numba":
        pytest.skip("compiles all of its kernels for a minute, and has no others")
    names = [dtype.name for dtype in dtypes.available(backend.dtypes)]
    if small:
        names = [name for name in names if name == "float64"]
    assert smoke.smoke(backend, names, steps=20) == []
    assert (" launched: " in capsys.readouterr().out) == (backend.name == "cupy")


@pytest.mark.parametrize("backend", ["cupy"], indirect=True)
def test_smoke_misses_kernels(backend, monkeypatch):
    known = smoke.kernel_names()
    monkeypatch.setattr(smoke, "kernel_names", lambda _: known | {"forgotten"})
    assert smoke.smoke(backend, ["float32"], steps=3) == ["float32 never launched: forgotten"]


def test_smoke_names_what_failed(monkeypatch, capsys):
    class Wrong(NumpyBackend):
        def clip(self, x, total, limit):
            super().clip(x, total, 2 * limit)

        def capture(self, step):
            raise CaptureError("no graphs here")

    monkeypatch.setattr(smoke, "get_backend", lambda name: Wrong())
    assert smoke.main(["--dtypes", "float64", "--steps", "3"]) == 1
    out = capsys.readouterr().out
    assert "FAILED float64 9x300 clip: AssertionError" in out
    assert re.search("FAILED float64 training: .*no graphs here", out)
    assert out.splitlines()[-1].startswith("numpy: 4 failed")


@pytest.mark.skipif(simulator.unavailable() is not None, reason=str(simulator.unavailable()))
def test_kernel_names_are_those_that_the_compiler_finds():
    options = cuda.options("float32")
    modules = [simulator.RawModule(code=cuda.source(name), options=options) for name in cuda.FILES]
    assert launches.kernel_names() == {name for module in modules for name in module.names}


def test_parts_of_a_step():
    pytest.importorskip("numba")
    from bench import parts
    from nnkit.backends.numba import create

    network = Network("two", (4, 3, 2), 2, "SGD", 0.1, 8)
    found = list(parts.parts(network, create(), rounds=1))
    assert found[0] == "the whole step"
    assert found[1:3] == ["gather, 2 calls", "matmul, 5 calls"]
    assert found[-1] == "sgd, 1 call"


def test_start():
    pytest.importorskip("numba")
    imported, trained = start.begin(os.environ.get("NUMBA_CACHE_DIR", ""))
    assert imported > 0
    assert trained > 0
