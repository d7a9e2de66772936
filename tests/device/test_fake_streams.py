"""The look-alike's streams and captures, where work is put off: CUDA's rules and no others."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from tests.device import fake_cupy, queues, simulator
from tests.device.fake_errors import CUDARuntimeError
from tests.device.fake_streams import submit

f32 = np.float32


class TestOrder:
    def test_nothing_is_done_before_the_host_waits(self, issue, seen, streams):
        issue(streams.a, "at once")
        assert seen == ["at once"]
        with fake_cupy.asynchronous("fifo"):
            issue(streams.a, "1")
            issue(streams.b, "2")
            issue(streams.free, "3")
            assert seen == ["at once"]
        assert seen == ["at once", "1", "2", "3"]
        issue(streams.a, "at once again")
        assert seen[-1] == "at once again"

    @pytest.mark.parametrize(
        ("order", "at_wait", "at_end"),
        [("fifo", "abc", "abcd"), ("late", "ac", "acbd")],
    )
    def test_what_is_done_and_when(self, issue, seen, streams, order, at_wait, at_end):
        with fake_cupy.asynchronous(order):
            issue(streams.a, "a")
            issue(streams.b, "b")
            issue(streams.a, "c")
            issue(streams.b, "d")
            streams.a.synchronize()
            assert "".join(seen) == at_wait
        assert "".join(seen) == at_end

    def test_random_orders_differ_and_can_be_repeated(self, issue, seen, streams):
        made = set()
        for seed in [*range(50), *range(50)]:
            seen.clear()
            with fake_cupy.asynchronous("random", seed):
                issue(streams.a, "a", "b")
                issue(streams.b, "c", "d")
            made.add((seed, "".join(seen)))
        assert len(made) == 50
        assert {text for _, text in made} == {"abcd", "acbd", "acdb", "cabd", "cadb", "cdab"}

    @pytest.mark.parametrize("order", queues.ORDERS)
    def test_a_stream_keeps_its_order(self, issue, seen, streams, order):
        with fake_cupy.asynchronous(order):
            for number in range(5):
                for name in ("a", "b", "free"):
                    issue(getattr(streams, name), f"{name}{number}")
        for name in ("a", "b", "free"):
            own = [text for text in seen if text.startswith(name)]
            assert own == [f"{name}{number}" for number in range(5)]

    @pytest.mark.parametrize("blocking", ["a", "ptds"])
    def test_the_default_stream_and_blocking_ones_wait_for_each_other(
        self, issue, seen, streams, blocking
    ):
        with fake_cupy.asynchronous("late"):
            issue(getattr(streams, blocking), "1")
            issue(streams.null, "2")
            issue(getattr(streams, blocking), "3")
            issue(streams.free, "free")
        assert seen == ["free", "1", "2", "3"]

    def test_what_the_host_waits_for(self, cupy, issue, seen, streams):
        with fake_cupy.asynchronous("late"):
            issue(streams.a, "a")
            issue(streams.free, "f")
            event = streams.free.record()
            issue(streams.free, "g")
            assert not (event.done or streams.free.done or streams.null.done)
            assert seen == []
            event.synchronize()
            assert seen == ["f"]
            assert event.done
            assert not streams.free.done
            streams.null.synchronize()
            assert seen == ["f", "a"], "the default stream is done when the blocking ones are"
            assert streams.null.done
            cupy.cuda.Device().synchronize()
            assert seen == ["f", "a", "g"]
            assert streams.free.done

    def test_waiting_for_an_event(self, cupy, issue, seen, streams):
        first, never = cupy.cuda.Event(), cupy.cuda.Event()
        assert never.done
        with fake_cupy.asynchronous("late"):
            issue(streams.free, "1")
            first.record(streams.free)
            issue(streams.free, "2")
            streams.a.wait_event(first)
            streams.a.wait_event(never)
            first.record(streams.free)  # too late for the stream that waits already
            issue(streams.a, "3")
            issue(streams.b, "4")
        assert seen == ["4", "1", "3", "2"]

    def test_elapsed_time(self, cupy, issue, streams):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        with fake_cupy.asynchronous("fifo"):
            for event in (start, end):
                event.record(streams.a)
            with pytest.raises(CUDARuntimeError, match="not ready"):
                cupy.cuda.get_elapsed_time(start, end)
            end.synchronize()
            assert cupy.cuda.get_elapsed_time(start, end) == 0

    def test_graphs(self, issue, seen, streams):
        streams.a.begin_capture()
        issue(streams.a, "1", "2")
        graph = streams.a.end_capture()
        with fake_cupy.asynchronous("late"):
            graph.launch(streams.a)
            issue(streams.b, "b")
            graph.launch(streams.free)
            issue(streams.a, "3")
        assert seen == ["b", "1", "2", "3", "1", "2"], "in order, after the launch before"

    def test_work_that_fails(self, issue, seen, streams):
        def fail() -> None:
            raise simulator.KernelError("no")

        with pytest.raises(simulator.KernelError), fake_cupy.asynchronous("fifo"):
            submit(fail, streams.a)
            issue(streams.a, "1")
            event = streams.a.record()
            streams.a.synchronize()
        assert seen == []
        assert event.done
        with pytest.raises(ZeroDivisionError), fake_cupy.asynchronous("fifo"):
            issue(streams.a, "2")
            raise ZeroDivisionError
        assert seen == [], "what is left is not done after an error"

    def test_contexts(self):
        with pytest.raises(ValueError, match="sideways"), fake_cupy.asynchronous("sideways"):
            pass
        with (
            fake_cupy.asynchronous("fifo"),
            pytest.raises(RuntimeError, match="already"),
            fake_cupy.asynchronous("fifo"),
        ):
            pass


class TestArrays:
    def test_operands_are_read_when_work_is_done(self, cupy, streams):
        with fake_cupy.asynchronous("late"):
            with streams.a:
                x = cupy.ones(3, f32)
            with streams.free:
                y = x * 2  # too soon
                assert np.isnan(y.get()).all()
                streams.a.synchronize()
                z = x * 2
                x.fill(7)
                assert z.tolist() == [2, 2, 2]
                assert float(x[0]) == 7

    def test_scalars_are_read_when_work_is_issued(self, cupy):
        value = np.full((), 2, f32)
        with fake_cupy.asynchronous("fifo"):
            x = cupy.full(2, value[()], f32)
            y = cupy.asarray(value)
            value[...] = 3
            assert (x + y).tolist() == [4, 4]

    @pytest.mark.parametrize("order", queues.ORDERS)
    def test_same_results_and_layouts(self, cupy, rng, order):
        host = rng.standard_normal((3, 4)).astype(f32)

        def results() -> dict[str, Any]:
            a, b = cupy.asarray(host), cupy.asarray(host.T.copy())
            c = a[:, ::-2].copy()
            c += 1
            c[cupy.asarray([2, 0])] = 5
            c[c > 4] = 6
            made = {
                "scaled": a * 2,
                "transposed": a.T + 1,
                "mixed": a + b.T,
                "product": a @ b,
                "sum": a.sum(axis=0),
                "mean": b.mean(),
                "arguments": a.argmax(axis=1),
                "rows": a[[2, 0]],
                "rows of the device": a[cupy.asarray([2, 0])],
                "mask": a[a > 0],
                "where": cupy.where(a > 0, a, 0),
                "joined": cupy.concatenate([a, a], axis=1),
                "converted": a.T.astype(np.float64),
                "copied": a.T.copy("K"),
                "reversed": a[::-1, ::-1] * 2,
                "nonzero": cupy.nonzero(a > 0)[1],
                "unique": cupy.unique(a > 0),
                "out": cupy.add(a, 1, out=cupy.empty_like(a)),
                "changed": c,
                "sorted": cupy.sort(a),
                "arange": cupy.arange(5),
                "random": cupy.random.default_rng(3).random(4),
                "none": cupy.zeros((0, 3)) + 1,
            }
            return {
                name: (x.dtype, x.flags.c_contiguous, x.flags.f_contiguous, x.get().tolist())
                for name, x in made.items()
            }

        want = results()
        with fake_cupy.asynchronous(order):
            assert results() == want

    def test_wrong_shapes_show_when_work_is_issued(self, cupy):
        with fake_cupy.asynchronous("fifo"):
            a = cupy.ones(4)
            for wrong in (
                lambda: cupy.add(a, 1, out=cupy.ones(3)),
                lambda: a.__setitem__(slice(0, 3), a),
                lambda: a + cupy.ones(3),
            ):
                with pytest.raises(ValueError, match="broadcast"):
                    wrong()

    @pytest.mark.skipif(simulator.unavailable() is not None, reason=str(simulator.unavailable()))
    def test_kernels(self, cupy):
        code = 'extern "C" __global__ void add(float a, const float* x, float* y) { *y = *x + a; }'
        kernel = cupy.RawKernel(code, "add")
        number = np.ones(1, f32)
        with fake_cupy.asynchronous("late"):
            x, y = cupy.zeros(1, f32), cupy.empty(1, f32)
            kernel((1,), (1,), (number, x, y))
            number[0] = 9
            x.fill(5)
            kernel((1,), (1,), (number, y, x))
            assert (float(y[0]), float(x[0])) == (1, 10)


def _error(status: int) -> Any:
    return pytest.raises(CUDARuntimeError, match=CUDARuntimeError.MESSAGES[status])


class TestCapture:
    @pytest.fixture
    def captured(self, cupy, streams):
        """An event that is recorded in the capture of streams.a, the current one."""
        with streams.a:
            streams.a.begin_capture()
            yield streams.a.record()
            with contextlib.suppress(CUDARuntimeError):
                streams.a.end_capture()

    @pytest.mark.parametrize("put_off", [False, True])
    @pytest.mark.parametrize(
        ("call", "status"),
        [
            (lambda cp, s, event: cp.cuda.Device().synchronize(), 900),
            (lambda cp, s, event: cp.cuda.runtime.deviceSynchronize(), 900),
            (lambda cp, s, event: s.a.synchronize(), 900),
            (lambda cp, s, event: s.a.done, 900),
            (lambda cp, s, event: event.synchronize(), 907),
            (lambda cp, s, event: event.done, 907),
            (lambda cp, s, event: s.a.wait_event(s.b.record()), 905),
            (lambda cp, s, event: submit(lambda: None, s.null), 906),
            (lambda cp, s, event: s.null.record(), 906),
            (lambda cp, s, event: s.null.synchronize(), 906),
            (lambda cp, s, event: s.null.done, 906),
        ],
    )
    def test_a_refused_call_makes_a_capture_invalid(
        self, cupy, streams, captured, call, status, put_off
    ):
        x = cupy.ones(3, f32)
        with fake_cupy.asynchronous("fifo") if put_off else contextlib.nullcontext():
            with _error(status):
                call(cupy, streams, captured)
            assert streams.a.is_capturing()
            with _error(901):
                x.fill(1)
            with _error(901):
                streams.a.end_capture()
            assert not streams.a.is_capturing()
            cupy.cuda.Device().synchronize()
            streams.a.begin_capture()
            x.fill(3)
            graph = streams.a.end_capture()
            x.fill(2)
            assert x.tolist() == [2, 2, 2]
            graph.launch()
            assert x.tolist() == [3, 3, 3]

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda cp, a: a.get(), RuntimeError),
            (lambda cp, a: a[a > 0], RuntimeError),
            (lambda cp, a: cp.asarray(np.ones(3)), RuntimeError),
            (lambda cp, a: a @ a, NotImplementedError),
            (lambda cp, a: cp.add(a, cp.ones(3), out=a), ValueError),
            (lambda cp, a: cp.cuda.Stream.null.is_capturing(), CUDARuntimeError),
            (lambda cp, a: cp.asnumpy(a, stream=cp.cuda.Stream.null), CUDARuntimeError),
        ],
    )
    def test_what_cupy_itself_refuses_does_no_harm(self, cupy, streams, captured, call, error):
        a = cupy.empty((2, 2), f32)
        with pytest.raises(error):
            call(cupy, a)
        a.fill(1)
        streams.a.end_capture().launch(streams.a)
        assert (a.get() == 1).all()

    def test_other_streams_go_on(self, cupy, streams):
        """While a stream captures that is non-blocking, so does the default stream."""
        with fake_cupy.asynchronous("late"):
            streams.free.begin_capture()
            with streams.free:
                kept = cupy.ones(3, f32)
            x = cupy.ones(3, f32)
            assert x.tolist() == [1, 1, 1]
            with streams.a:
                assert (x + 1).tolist() == [2, 2, 2]
                streams.a.wait_event(streams.null.record())
            streams.null.synchronize()
            graph = streams.free.end_capture()
            graph.launch()
            assert kept.tolist() == [1, 1, 1]

    def test_blocking_and_default_stream(self, cupy, streams):
        x = cupy.ones(3, f32)
        streams.a.begin_capture()
        with streams.b:
            assert (x + 1).tolist() == [2, 2, 2]
        for work in (lambda: x.fill(2), lambda: x + 1, lambda: cupy.zeros(3)):
            with _error(906):
                work()
        with _error(901):
            streams.a.end_capture()

    def test_events_of_the_capture_itself(self, cupy, streams, captured):
        streams.a.wait_event(captured)
        streams.a.wait_event(cupy.cuda.Event())
        streams.free.begin_capture()
        with _error(902):
            streams.free.wait_event(captured)
        with _error(901):
            streams.free.end_capture()
        streams.a.end_capture()
        captured.record(streams.b)
        assert captured.done

    def test_work_is_put_off_before_and_after(self, cupy, streams):
        with fake_cupy.asynchronous("late"), streams.a:
            x = cupy.zeros(3, f32)
            x += 1
            streams.a.begin_capture()
            x *= 10
            graph = streams.a.end_capture()
            x += 2
            graph.launch()
            x += 5
            assert x.tolist() == [35, 35, 35]
