"""Real CuPy on a machine without a GPU, over a pretend CUDA that runs work as late as it may.

CuPy's wheel is patched in memory: the CUDA runtime that is linked into it, and the driver library
that it asks for, are functions of Python here. Device memory is host memory. A kernel of nnkit runs
on the simulator of this folder, one of CuPy's own as the NumPy function of its name.

Nothing is executed before the host waits for it, and then in any order that CUDA's rules permit. So
an array that is read before it was written, or given back while it is still in use, shows as a
wrong result: what happens on a GPU now and then happens here always.

Because a process is patched, each scenario runs in a process of its own::

    python -m tests.device.stub_driver SCENARIO

What it found is printed as JSON; see `tests.device.stub_driver.scenarios`.
"""
