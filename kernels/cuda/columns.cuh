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

// sums[c] = sum over r of value(r, c), in one pass and in a fixed order.
//
// A block is blockDim.x packs of columns wide and takes every gridDim.y-th group of blockDim.y
// rows. Of the blocks above each other, the last to finish adds up what each found, which are the
// gridDim.y rows of `partial`. value(i, end) returns the pack at place i of the matrix, whose row
// ends at `end`.
template <class Value>
__device__ __forceinline__ void column_sums(long long rows, long long columns, REAL* partial,
                                            unsigned* done, STORE* sums, Value value) {
    const long long column = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * WIDTH;
    const long long first_row = blockIdx.y * (long long)blockDim.y + threadIdx.y;
    REAL sum[WIDTH] = {};
    if (column < columns)
        for (long long row = first_row; row < rows; row += gridDim.y * (long long)blockDim.y) {
            const Pack x = value(row * columns + column, (row + 1) * columns);
            for (int k = 0; k < WIDTH; k++) sum[k] += x.v[k];
        }
    add_rows_of_block(sum);
    if (gridDim.y > 1) {
        for (int k = 0; k < WIDTH; k++)
            if (threadIdx.y == 0 && column + k < columns)
                partial[blockIdx.y * columns + column + k] = sum[k];
        if (!last_block(done + blockIdx.x, gridDim.y)) return;
        for (int k = 0; k < WIDTH; k++) {
            sum[k] = 0;
            if (column + k < columns)
                for (unsigned row = threadIdx.y; row < gridDim.y; row += blockDim.y)
                    sum[k] += partial[row * columns + column + k];
        }
        add_rows_of_block(sum);
    }
    if (threadIdx.y == 0)
        for (int k = 0; k < WIDTH; k++)
            if (column + k < columns) sums[column + k] = sum[k];
}
