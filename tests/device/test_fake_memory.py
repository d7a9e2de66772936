"""The look-alike's memory, pinned and on the device: who gets it next, and who is asked before."""

from __future__ import annotations

import importlib
import threading

import numpy as np
import pytest

from tests.device import fake_cupy, fake_pinned

f32 = np.float32


class TestHostMemory:
    def test_when_a_copy_reads_its_source(self, cupy):
        pageable = np.ones(3, f32)
        pinned = importlib.import_module("cupyx").empty_pinned(3, f32)
        pinned[...] = 1
        with fake_cupy.asynchronous("fifo"):
            moved, a, b = cupy.asarray(pageable), cupy.empty(3, f32), cupy.empty(3, f32)
            staged = cupy.asarray(pinned)  # by pinned memory of CuPy's own
            a.set(pageable)
            b.set(pinned)
            pageable[...] = pinned[...] = 2
            assert [x.tolist()[0] for x in (moved, staged, a, b)] == [1, 1, 1, 2]

    def test_copies_to_the_host(self, cupy):
        pinned = importlib.import_module("cupyx").zeros_pinned(2, f32)
        pageable = np.zeros(2, f32)
        with fake_cupy.asynchronous("fifo"):
            x = cupy.ones(2, f32)
            x.get(out=pinned, blocking=False)
            assert pinned.tolist() == [0, 0]
            x.get(out=pageable, blocking=False)
            assert pageable.tolist() == pinned.tolist() == [1, 1]

    def test_freed_pinned_memory_is_used_again_at_once(self, cupy):
        pool = cupy.get_default_pinned_memory_pool()
        pool.free_all_blocks()
        first = fake_pinned.empty_pinned((100,), f32)
        first[...] = 1
        address, view = first.ctypes.data, first[10:].reshape(9, 10)
        del first
        assert fake_pinned.empty_pinned(100, f32).ctypes.data != address, "a view is left"
        assert (view == 1).all()
        del view
        assert pool.n_free_blocks() == 2
        other_size = fake_pinned.empty_pinned(129, f32)
        assert other_size.ctypes.data != address
        again = fake_pinned.empty_pinned(128, np.int32)
        assert again.ctypes.data == address, "of the same size: 512 bytes"
        assert (again == -1).all()

    def test_a_copy_does_not_keep_its_source(self, cupy):
        with fake_cupy.asynchronous("late"):
            x, pinned = cupy.empty(3, f32), fake_pinned.empty_pinned(3, f32)
            pinned[...] = 1
            x.set(pinned)
            del pinned
            assert np.isnan(x.get()).all()
            pinned = fake_pinned.empty_pinned(3, f32)
            pinned[...] = 2
            x.set(pinned)
            del pinned
            other = fake_pinned.empty_pinned(3, f32)
            other[...] = 5
            assert x.tolist() == [5, 5, 5]


class TestDeviceMemory:
    def test_who_gets_freed_memory(self, cupy, streams):
        with fake_cupy.asynchronous("fifo"):
            with streams.a:
                x = cupy.ones(100, f32)
                address, view, pool = x.data.ptr, x[50:], cupy.get_default_memory_pool()
                del x
                assert cupy.ones(100, f32).data.ptr != address, "a view is left"
                used = pool.used_bytes()
                del view
                assert used - pool.used_bytes() == pool.free_bytes() // 2 == 512
                assert cupy.ones(129, f32).data.ptr != address
            with streams.b:
                assert cupy.ones(100, f32).data.ptr != address
                with streams.a:
                    assert cupy.empty(128, np.int32).data.ptr == address
                    pool.free_all_blocks()
                    assert pool.n_free_blocks() == 0

    def test_each_pool_has_its_own(self, cupy):
        own = cupy.cuda.MemoryPool()
        with fake_cupy.asynchronous("fifo"):
            with cupy.cuda.using_allocator(own.malloc):
                x = cupy.empty(100, f32)
                address = x.data.ptr
                del x
            assert (own.n_free_blocks(), own.free_bytes()) == (1, 512)
            assert cupy.empty(100, f32).data.ptr != address
            with cupy.cuda.using_allocator(own.malloc):
                assert cupy.empty(100, f32).data.ptr == address
            cupy.get_default_memory_pool().free_all_blocks()
            assert own.n_free_blocks() == 1

    def test_work_of_the_same_stream_comes_first(self, cupy, streams):
        with fake_cupy.asynchronous("late"), streams.a:
            x = cupy.ones(3, f32)
            address, y = x.data.ptr, x + 1
            del x
            z = cupy.empty(3, f32)
            assert z.data.ptr == address
            assert y.tolist() == [2, 2, 2]
            assert np.isnan(z.get()).all()

    def test_work_of_another_stream_destroys_what_is_there_now(self, cupy, streams):
        ones = np.ones(3, f32)
        with fake_cupy.asynchronous("late"), streams.a:
            x = cupy.empty(3, f32)
            x.set(ones, stream=streams.free)
            del x
            y = cupy.zeros(3, f32)
            streams.a.synchronize()
            streams.free.synchronize()
            assert y.tolist() == [1, 1, 1]

    def test_poison_orders_no_streams(self, cupy, issue, seen, streams):
        with fake_cupy.asynchronous("late"):
            cupy.empty(3, f32)
            issue(streams.a, "1")
            cupy.empty(3, f32)
            issue(streams.b, "2")
        assert seen == ["2", "1"]

    def test_a_graph_does_not_poison(self, cupy, streams):
        with fake_cupy.asynchronous("fifo"), streams.a:
            cupy.empty(3, f32)
            streams.a.begin_capture()
            x = cupy.empty(3, f32)
            graph = streams.a.end_capture()
            x.fill(1)
            graph.launch()
            assert x.tolist() == [1, 1, 1]


class TestAllocators:
    def test_every_array_asks(self, cupy):
        asked = []
        a = cupy.ones(3, f32)
        with cupy.cuda.using_allocator(asked.append):
            cupy.empty((2, 3), f32)
            a + 1
            cupy.zeros((0, 3))
            cupy.asarray(np.ones(2))
            a[1:].reshape(2, 1)
        a + 1
        assert asked == [24, 12, 0, 16]

    def test_an_allocator_may_refuse(self, cupy):
        def refuse(size: int) -> None:
            raise MemoryError(size)

        a = cupy.ones(3, f32)
        for make in (lambda: a + 1, lambda: cupy.empty(3), lambda: a[a > 0], a.copy):
            with cupy.cuda.using_allocator(refuse):
                with cupy.cuda.using_allocator(cupy.get_default_memory_pool().malloc):
                    make()
                with cupy.cuda.using_allocator():
                    make()
                with pytest.raises(MemoryError):
                    make()
                thread = threading.Thread(target=make)  # which it does not concern
                thread.start()
                thread.join()
            make()

    def test_for_all_threads(self, cupy):
        asked = []
        with cupy.cuda.using_allocator(), pytest.raises(ValueError, match="inside"):
            cupy.cuda.set_allocator(asked.append)
        cupy.cuda.set_allocator(asked.append)
        try:
            thread = threading.Thread(target=lambda: cupy.empty(3, f32))
            thread.start()
            thread.join()
        finally:
            cupy.cuda.set_allocator(cupy.get_default_memory_pool().malloc)
        assert asked == [12]
