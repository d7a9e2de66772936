// Sums over the rows of a matrix.
#include "reduce.cuh"

// Add up over threadIdx.y; the threads with threadIdx.y == 0 have the result. Two calls need a
// barrier in between.
__device__ void add_rows_of_block(REAL (&sum)[WIDTH]) {
    __shared__ REAL shared[WIDTH][THREADS];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (int k = 0; k < WIDTH; k++) shared[k][thread] = sum[k];
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half)
            for (int k = 0; k < WIDTH; k++)
                shared[k][thread] += shared[k][thread + half * blockDim.x];
    }
    for (int k = 0; k < WIDTH; k++) sum[k] = shared[k][thread];
}

// Add up what the blocks above each other have found, `count` sums for each column, and write them.
// The last of gridDim.y blocks to finish does that, in a fixed order. The sums of one column are
// `columns` apart in `sums` and in `partial`, which has `apart` numbers for each block; `done` is
// that of the blocks that are above each other.
template <int COUNT>
__device__ __forceinline__ void finish_sums(REAL (&sum)[COUNT][WIDTH], int count, long long columns,
                                            long long column, REAL* partial, long long apart,
                                            unsigned* done, STORE* sums) {
#pragma unroll
    for (int s = 0; s < COUNT; s++) {
        if (s) __syncthreads();
        add_rows_of_block(sum[s]);
    }
    if (gridDim.y > 1) {
#pragma unroll
        for (int s = 0; s < COUNT; s++)
            for (int k = 0; k < WIDTH; k++)
                if (threadIdx.y == 0 && s < count && column + k < columns)
                    partial[blockIdx.y * apart + s * columns + column + k] = sum[s][k];
        if (!last_block(done, gridDim.y)) return;
#pragma unroll
        for (int s = 0; s < COUNT; s++) {
            for (int k = 0; k < WIDTH; k++) {
                sum[s][k] = 0;
                if (s < count && column + k < columns)
                    for (unsigned row = threadIdx.y; row < gridDim.y; row += blockDim.y)
                        sum[s][k] += partial[row * apart + s * columns + column + k];
            }
            if (s) __syncthreads();
            add_rows_of_block(sum[s]);
        }
    }
    if (threadIdx.y == 0)
#pragma unroll
        for (int s = 0; s < COUNT; s++)
            for (int k = 0; k < WIDTH; k++)
                if (s < count && column + k < columns) sums[s * columns + column + k] = sum[s][k];
}

// sums[c] = sum over r of value(r, c), in one pass and in a fixed order.
//
// A block is blockDim.x packs of columns wide and takes every gridDim.y-th group of blockDim.y
// rows. `partial` has gridDim.y rows. value(i, end) returns the pack at place i of the matrix, whose
// row ends at `end`.
template <class Value>
__device__ __forceinline__ void column_sums(long long rows, long long columns, REAL* partial,
                                            unsigned* done, STORE* sums, Value value) {
    const long long column = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * WIDTH;
    const long long first_row = blockIdx.y * (long long)blockDim.y + threadIdx.y;
    REAL sum[1][WIDTH] = {};
    if (column < columns)
        for (long long row = first_row; row < rows; row += gridDim.y * (long long)blockDim.y) {
            const Pack x = value(row * columns + column, (row + 1) * columns);
            for (int k = 0; k < WIDTH; k++) sum[0][k] += x.v[k];
        }
    finish_sums(sum, 1, columns, column, partial, columns, done + blockIdx.x, sums);
}
