// A tile of a product, by the warps of a block. Each adds up all of it, over every eighth slice of
// the depth, and needs no other warp until they add up what they have, in a fixed order.
#include "slices.cuh"

constexpr int WARPS = THREADS / 32, HALF = WARPS / 2;

template <int TILE>
struct Tile {
    static constexpr int ROWS = TILE / 4, COLUMNS = TILE / 8;  // of a lane
    static constexpr int STAGE = SLICE * Slice<TILE>::ROW;  // numbers of a slice in shared memory
    static constexpr int SUMS = (TILE + 1) * TILE;          // the tile and column sums of b
    static constexpr int SHARED = 2 * WARPS * STAGE > HALF * SUMS ? 2 * WARPS * STAGE : HALF * SUMS;
    REAL sum[ROWS][COLUMNS] = {};
    REAL column_sum = 0;  // of the column of b that is the lane's

    // Add up slices, the next of which is on its way while one is in shared memory.
    __device__ __forceinline__ void add(const Lines& a, const Lines& b, int row, int column,
                                        int slice, int end, bool sums, REAL* shared) {
        const int lane = threadIdx.x % 32;
        Slice<TILE> left, right;
        if (slice < end) {
            left.fetch(a, row, slice * SLICE, lane);
            right.fetch(b, column, slice * SLICE, lane);
        }
        for (; slice < end; slice += WARPS) {
            __syncwarp();
            left.stage(shared, a.along, lane);
            right.stage(shared + STAGE, b.along, lane);
            __syncwarp();
            if (slice + WARPS < end) {
                left.fetch(a, row, (slice + WARPS) * SLICE, lane);
                right.fetch(b, column, (slice + WARPS) * SLICE, lane);
            }
            multiply(shared + lane / 8 * ROWS, shared + STAGE + lane % 8 * COLUMNS);
            if (sums)
                for (int k = 0; k < SLICE; k++)
                    column_sum += shared[STAGE + k * Slice<TILE>::ROW + lane % TILE];
        }
    }

    __device__ __forceinline__ void multiply(const REAL* a, const REAL* b) {
#pragma unroll (TILE == 16 ? 16 : 4)
        for (int k = 0; k < SLICE; k++, a += Slice<TILE>::ROW, b += Slice<TILE>::ROW)
#pragma unroll
            for (int i = 0; i < ROWS; i++)
#pragma unroll
                for (int j = 0; j < COLUMNS; j++) sum[i][j] += a[i] * b[j];
    }

    // Add up over the warps: half of them write, the others add; `shared` then has HALF sums.
    __device__ __forceinline__ void gather(REAL* shared) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        REAL* tile = shared + warp % HALF * SUMS;
        for (int turn = 1; turn >= 0; turn--) {
            __syncthreads();
            if (warp / HALF != turn) continue;
#pragma unroll
            for (int i = 0; i < ROWS; i++)
#pragma unroll
                for (int j = 0; j < COLUMNS; j++) {
                    REAL& total = tile[(lane / 8 * ROWS + i) * TILE + lane % 8 * COLUMNS + j];
                    total = turn ? sum[i][j] : total + sum[i][j];
                }
            if (lane < TILE) {
                REAL& total = tile[TILE * TILE + lane];
                total = turn ? column_sum : total + column_sum;
            }
        }
        __syncthreads();
    }
};
