// The mini-batch of a step: row i of `out` is row order[start + i] of `source`, where
// start = counters[STEP] * batch_size. Rows that are not there are all ones in binary: NaN, or -1.
#include "common.cuh"

// What is copied: the order has `places`, the source `source_rows`, `out` has `rows`.
struct Batch {
    const long long *order, *counters;
    long long places, source_rows, batch_size, rows;

    // Calls copy(from, to) for the rows that fall to this thread: a block takes blockDim.y at a
    // time. `from` is -1 for a row that is not there.
    template <class Copy>
    __device__ __forceinline__ void each_row(Copy copy) const {
        const long long start = counters[STEP] * batch_size;
        const long long first_row = blockIdx.x * (long long)blockDim.y + threadIdx.y;
        for (long long row = first_row; row < rows; row += gridDim.x * (long long)blockDim.y) {
            const long long place = start + row;
            const long long from = place >= 0 && place < places ? order[place] : -1;
            copy(from < source_rows ? from : -1, row);
        }
    }
};

// uint8 to real numbers from 0 to 1. A thread reads WIDTH bytes and writes 16: so neighbouring
// threads write to neighbouring places, which they would not if each read 16 bytes and wrote 64.
extern "C" __global__ void __launch_bounds__(THREADS)
gather_scaled(const unsigned char* source, long long source_rows, const long long* order,
              long long places, const long long* counters, long long batch_size, STORE* out,
              long long rows, long long columns) {
    const Batch batch = {order, counters, places, source_rows, batch_size, rows};
    batch.each_row([&](long long from, long long to) {
        for (long long c = threadIdx.x * WIDTH; c < columns; c += blockDim.x * WIDTH) {
            Pack pack;
            if (from >= 0) pack = load(source, from * columns + c, (from + 1) * columns);
            for (int k = 0; k < WIDTH; k++)
                pack.v[k] = from >= 0 ? pack.v[k] * (REAL)(1.0 / 255) : UNKNOWN;
            store(out, to * columns + c, (to + 1) * columns, pack);
        }
    });
}

template <class Unit> __device__ __forceinline__ Unit ones() { return (Unit)~0u; }
template <> __device__ __forceinline__ uint4 ones() { return {~0u, ~0u, ~0u, ~0u}; }

// A copy without conversion, of rows of any type: `length` units each.
template <class Unit>
__device__ void copy_rows(const Batch& batch, const void* source, void* out, long long length) {
    batch.each_row([&](long long from, long long to) {
        for (long long c = threadIdx.x; c < length; c += blockDim.x)
            ((Unit*)out)[to * length + c] =
                from >= 0 ? ((const Unit*)source)[from * length + c] : ones<Unit>();
    });
}

extern "C" __global__ void __launch_bounds__(THREADS)
gather_copy(const void* source, long long source_rows, const long long* order, long long places,
            const long long* counters, long long batch_size, void* out, long long rows,
            long long row_bytes) {
    const Batch batch = {order, counters, places, source_rows, batch_size, rows};
    const unsigned long long alignment = (size_t)source | (size_t)out | row_bytes;
    if (alignment % 16 == 0)
        copy_rows<uint4>(batch, source, out, row_bytes / 16);
    else if (alignment % 4 == 0)
        copy_rows<unsigned>(batch, source, out, row_bytes / 4);
    else
        copy_rows<unsigned char>(batch, source, out, row_bytes);
}

// The end of a step: on to the next batch.
extern "C" __global__ void advance(long long* counters, long long step, long long updates,
                                   long long forwards) {
    counters[STEP] += step;
    counters[UPDATES] += updates;
    counters[FORWARDS] += forwards;
}
