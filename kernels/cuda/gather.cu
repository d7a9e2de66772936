// The mini-batch of a step: row i of `out` is row order[start + i] of `source`, where
// start = counters[STEP] * batch_size.
#include "common.cuh"

// Calls copy(from, to) for the rows that fall to this thread: a block takes blockDim.y at a time.
template <class Copy>
__device__ __forceinline__ void each_row(const long long* order, const long long* counters,
                                         long long batch_size, long long rows, Copy copy) {
    const long long start = counters[STEP] * batch_size;
    const long long first_row = blockIdx.x * (long long)blockDim.y + threadIdx.y;
    for (long long row = first_row; row < rows; row += gridDim.x * (long long)blockDim.y)
        copy(order[start + row], row);
}

// uint8 to real numbers from 0 to 1. A thread reads WIDTH bytes and writes 16: so neighbouring
// threads write to neighbouring places, which they would not if each read 16 bytes and wrote 64.
extern "C" __global__ void __launch_bounds__(THREADS)
gather_scaled(const unsigned char* source, const long long* order, const long long* counters,
              long long batch_size, STORE* out, long long rows, long long columns) {
    each_row(order, counters, batch_size, rows, [&](long long from, long long to) {
        for (long long c = threadIdx.x * WIDTH; c < columns; c += blockDim.x * WIDTH) {
            Pack pack = load(source, from * columns + c, (from + 1) * columns);
            for (int k = 0; k < WIDTH; k++) pack.v[k] *= (REAL)(1.0 / 255);
            store(out, to * columns + c, (to + 1) * columns, pack);
        }
    });
}

// A copy without conversion, of rows of any type: `length` units each.
template <class Unit>
__device__ void copy_rows(const void* source, const long long* order, const long long* counters,
                          long long batch_size, void* out, long long rows, long long length) {
    each_row(order, counters, batch_size, rows, [&](long long from, long long to) {
        for (long long c = threadIdx.x; c < length; c += blockDim.x)
            ((Unit*)out)[to * length + c] = ((const Unit*)source)[from * length + c];
    });
}

extern "C" __global__ void __launch_bounds__(THREADS)
gather_copy(const void* source, const long long* order, const long long* counters,
            long long batch_size, void* out, long long rows, long long row_bytes) {
    const unsigned long long places = (size_t)source | (size_t)out | row_bytes;
    if (places % 16 == 0)
        copy_rows<uint4>(source, order, counters, batch_size, out, rows, row_bytes / 16);
    else if (places % 4 == 0)
        copy_rows<unsigned>(source, order, counters, batch_size, out, rows, row_bytes / 4);
    else
        copy_rows<unsigned char>(source, order, counters, batch_size, out, rows, row_bytes);
}

// The end of a step: on to the next batch.
extern "C" __global__ void advance(long long* counters, long long step, long long updates,
                                   long long forwards) {
    counters[STEP] += step;
    counters[UPDATES] += updates;
    counters[FORWARDS] += forwards;
}
