// Teams of threads, each at work on one row of a matrix at a time.
//
// A short row is the work of some lanes of a warp, which keep it in registers: one read. A long one
// is the work of a block, which reads it again (from the cache) to write its result: two reads.
// A team goes through the rows from first_row() in steps of row_stride(), is told of each by
// start(), and has
//   each(f)       calls f(i, column, pack) for each pack of the row that falls to this thread,
//   sum(value)    adds up over the team, in a fixed order,
//   combined(t)   combines what its threads know of the row (see Total).
#include "reduce.cuh"

// The largest element, its place, and the sum of exp(x - max).
struct Total {
    REAL max;
    int place;
    REAL sum;
};

// Whether a, at place i, is the larger, or the earlier of equals. NaN is largest, as in np.argmax.
__device__ __forceinline__ bool larger(REAL a, int i, REAL b, int j) {
    const bool a_nan = a != a, b_nan = b != b;
    return a > b || (a_nan && !b_nan) || ((a == b || (a_nan && b_nan)) && i < j);
}

// exp(x - max), where equal infinities make 1
__device__ __forceinline__ REAL weight(REAL x, REAL max) { return x == max ? 1 : exp(x - max); }

__device__ __forceinline__ Total total_of(const Pack& x, int column) {
    Total total = {x.v[0], column, 0};
    for (int k = 1; k < WIDTH; k++)
        if (larger(x.v[k], column + k, total.max, total.place)) total = {x.v[k], column + k, 0};
    for (int k = 0; k < WIDTH; k++) total.sum += weight(x.v[k], total.max);
    return total;
}

// Total of two parts of a row (Milakov & Gimelshein 2018, "Online normalizer calculation for
// softmax").
__device__ __forceinline__ Total combine(Total a, Total b) {
    const bool swap = larger(b.max, b.place, a.max, a.place);
    const Total high = swap ? b : a, low = swap ? a : b;
    return {high.max, high.place, high.sum + low.sum * weight(low.max, high.max)};
}

// Total over `lanes` neighbouring lanes, a power of two, of which `mask` has the bits.
__device__ __forceinline__ Total lanes_total(Total total, unsigned mask, int lanes) {
    for (int offset = lanes / 2; offset > 0; offset /= 2)
        total = combine(total, {__shfl_xor_sync(mask, total.max, offset),
                                __shfl_xor_sync(mask, total.place, offset),
                                __shfl_xor_sync(mask, total.sum, offset)});
    return total;
}

// Total of the row that a team has started. NaN or +inf anywhere makes the sum NaN, and so the
// whole row of any softmax.
template <class Team>
__device__ __forceinline__ Total row_total(Team& team) {
    Total total = {-INF, team.columns, 0};
    team.each([&](long long i, int column, const Pack& pack) {
        total = combine(total, total_of(pack, column));
    });
    total = team.combined(total);
    total.sum += total.max - total.max;
    return total;
}

// A row of a matrix: from place `begin` to `end`.
struct Row {
    const STORE* x;
    long long begin, end;
    int columns;

    __device__ void select(const STORE* matrix, long long row, int length) {
        x = matrix;
        begin = row * length;
        end = begin + length;
        columns = length;
    }
};

// Lanes of a warp: as many as the row has packs, but a power of two and 32 at most. Each holds
// PACKS packs, so that a row may have 32 * PACKS of them. Loops over them are unrolled: only what is
// indexed by constants is kept in registers.
template <int PACKS>
struct Lanes : Row {
    const int size, rank;
    const unsigned mask;
    Pack held[PACKS];

    __device__ explicit Lanes(int columns)
        : size(lanes_for((columns + WIDTH - 1) / WIDTH)),
          rank(threadIdx.x & (size - 1)),
          mask(~0u >> (32 - size) << (threadIdx.x % 32 - rank)) {}

    __device__ static int lanes_for(int packs) {
        return packs >= 32 ? 32 : 1 << (32 - __clz(packs - 1));
    }
    __device__ long long first_row() const {
        return blockIdx.x * (long long)(blockDim.x / size) + threadIdx.x / size;
    }
    __device__ long long row_stride() const { return gridDim.x * (long long)(blockDim.x / size); }

    __device__ void start(const STORE* matrix, long long row, int length, REAL fill) {
        select(matrix, row, length);
#pragma unroll
        for (int p = 0; p < PACKS; p++)
            if (p * size * WIDTH < columns) held[p] = load(x, begin + column(p), end, fill);
    }
    template <class F>
    __device__ void each(F f) {
#pragma unroll
        for (int p = 0; p < PACKS; p++)
            if (p * size * WIDTH < columns) f(begin + column(p), column(p), held[p]);
    }
    __device__ REAL sum(REAL value) const {
        for (int offset = size / 2; offset > 0; offset /= 2)
            value += __shfl_xor_sync(mask, value, offset);
        return value;
    }
    __device__ Total combined(Total part) const { return lanes_total(part, mask, size); }

  private:
    __device__ int column(int p) const { return (p * size + rank) * WIDTH; }
};

// A block of any number of warps, for rows of any length.
struct Block : Row {
    const int rank = threadIdx.x;
    REAL fill;

    __device__ explicit Block(int columns) {}
    __device__ long long first_row() const { return blockIdx.x; }
    __device__ long long row_stride() const { return gridDim.x; }

    __device__ void start(const STORE* matrix, long long row, int length, REAL beyond) {
        select(matrix, row, length);
        fill = beyond;
    }
    template <class F>
    __device__ void each(F f) {
        for (int column = rank * WIDTH; column < columns; column += blockDim.x * WIDTH)
            f(begin + column, column, load(x, begin + column, end, fill));
    }
    __device__ REAL sum(REAL value) const { return block_sum(value); }
    __device__ Total combined(Total part) const {
        __shared__ Total warps[32];
        part = lanes_total(part, ~0u, 32);
        if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = part;
        __syncthreads();
        part = warps[0];
        for (int warp = 1; warp < blockDim.x / 32; warp++) part = combine(part, warps[warp]);
        __syncthreads();  // before the next row overwrites them
        return part;
    }
};

// Each kernel thrice: `name` for rows that 32 lanes hold with one pack each, `name_long` with
// LONG each, `name_wide` for any row. The packs of a long row take 32 registers of a lane. BLOCKS,
// the least number on a multiprocessor, leaves it 128 of them, or 255 in double. The block of a wide
// row is large, because there may be fewer rows than multiprocessors.
constexpr int LONG = WIDTH > 4 ? 4 : 8, BLOCKS = 8 / sizeof(REAL), WIDE = 4096 / sizeof(REAL);

#define LIST(...) __VA_ARGS__
#define KERNELS(NAME, ROWS, PARAMETERS, ARGUMENTS)                                               \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) NAME(LIST PARAMETERS) {        \
        ROWS(Lanes<1>(columns), LIST ARGUMENTS);                                                 \
    }                                                                                            \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) NAME##_long(LIST PARAMETERS) { \
        ROWS(Lanes<LONG>(columns), LIST ARGUMENTS);                                                 \
    }                                                                                            \
    extern "C" __global__ void __launch_bounds__(WIDE, 1) NAME##_wide(LIST PARAMETERS) {         \
        ROWS(Block(columns), LIST ARGUMENTS);                                                    \
    }
