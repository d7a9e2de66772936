"""Real CuPy on a machine without a GPU, over a pretend CUDA that runs work as late as it may.

CuPy's wheel is patched in memory: the CUDA runtime that is linked into it, and the driver library
that it asks for, are functions of Python here. Device memory is host memory. A kernel of nnkit runs
on the simulator of this folder, one of CuPy's own as the NumPy function of its name.

Nothing is executed before the host waits for it, and then in any order that CUDA's rules permit. So
an array that is read before it was written, or given back while it is still in use, shows as a
wrong result: what happens on a GPU now and then happens here always.

What it cannot show: kernels are carried out whole, so that two which overlap on a GPU are found by
their addresses alone (`races`). cuBLAS and cuBLASLt are stand-ins (`products`). Nothing is compiled
for a GPU (`modules`), and any kernel of CuPy's own that is not in `cupy_kernels` is an error. A
capture is of one stream, which no other can join.

Because a process is patched, each scenario runs in a process of its own::

    python -m tests.device.stub_driver SCENARIO

What it found is printed as JSON; see `tests.device.stub_driver.scenarios`.
"""
