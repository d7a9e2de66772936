// Products of matrices too small for a library's kernels, whose few blocks each go through the whole
// depth alone: out = a @ b, in tiles of 16 or 32 rows and columns.
//
// Every warp of a block adds up the whole tile, over each eighth slice of the depth, and needs no
// other warp until they add up what they have. Where there are too few tiles for a GPU, and they are
// deep, several blocks share a tile, and the last of them adds up what they have. All in fixed order.
#include "reduce.cuh"
#include "slices.cuh"

constexpr int WARPS = THREADS / 32, HALF = WARPS / 2;
constexpr int RESIDENT = 8 / sizeof(REAL);  // least blocks on a multiprocessor, for the registers

// What is done besides: out += bias, then out = max(out, 0), keeping NaN; sums = column sums of b.
struct Besides {
    const STORE* bias;
    int relu;
    STORE* sums;
};

template <int TILE>
struct Tile {
    static constexpr int ROWS = TILE / 4, COLUMNS = TILE / 8;  // of a lane
    static constexpr int STAGE = SLICE * Slice<TILE>::ROW;     // numbers of a slice in shared memory
    static constexpr int SUMS = (TILE + 1) * TILE;             // the tile and column sums of b
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

// Write a pack of a tile, or of the column sums, which are in the row after its last.
template <int TILE>
__device__ __forceinline__ void finish(Pack pack, int place, STORE* out, const Besides& besides,
                                       long long n, long long m) {
    const int row = blockIdx.y * TILE + place / TILE, column = blockIdx.x * TILE + place % TILE;
    if (place / TILE == TILE) {
        store(besides.sums, column, m, pack);
    } else if (row < n) {
        const Pack b = besides.bias ? load(besides.bias, column, m) : Pack{};
        for (int k = 0; k < WIDTH; k++) {
            pack.v[k] += b.v[k];
            if (besides.relu && pack.v[k] < 0) pack.v[k] = 0;
        }
        store(out, row * m + column, (row + 1) * m, pack);
    }
}

// `partial` has Tile::SUMS numbers for each block of a tile, and `done` one for each tile.
template <int TILE>
__device__ __forceinline__ void product(const Lines& a, const Lines& b, STORE* out,
                                        const Besides& besides, int slices, REAL* partial,
                                        unsigned* done) {
    constexpr int SUMS = Tile<TILE>::SUMS;
    __shared__ __align__(16) REAL shared[Tile<TILE>::SHARED];
    const int warp = threadIdx.x / 32, begin = blockIdx.z * slices;
    const int all = (a.depth + SLICE - 1) / SLICE, end = begin + slices < all ? begin + slices : all;
    const bool sums = besides.sums && blockIdx.y == 0;
    const int numbers = sums ? SUMS : TILE * TILE;
    Tile<TILE> tile;
    tile.add(a, b, blockIdx.y * TILE, blockIdx.x * TILE, begin + warp, end, sums,
             shared + 2 * warp * Tile<TILE>::STAGE);
    tile.gather(shared);
    const unsigned tiles = gridDim.x * gridDim.y, number = blockIdx.y * gridDim.x + blockIdx.x;
    for (int i = threadIdx.x * WIDTH; i < numbers; i += THREADS * WIDTH) {
        Pack pack = {};
        for (int part = 0; part < HALF; part++)
            for (int k = 0; k < WIDTH; k++) pack.v[k] += shared[part * SUMS + i + k];
        if (gridDim.z > 1)
            store(partial + (blockIdx.z * tiles + number) * SUMS, i, SUMS, pack);
        else
            finish<TILE>(pack, i, out, besides, a.lines, b.lines);
    }
    if (gridDim.z == 1 || !last_block(done + number, gridDim.z)) return;
    for (int i = threadIdx.x * WIDTH; i < numbers; i += THREADS * WIDTH) {
        Pack pack = {};
        for (unsigned part = 0; part < gridDim.z; part++) {
            const Pack of_block = load(partial + (part * tiles + number) * SUMS, i, SUMS);
            for (int k = 0; k < WIDTH; k++) pack.v[k] += of_block.v[k];
        }
        finish<TILE>(pack, i, out, besides, a.lines, b.lines);
    }
}

#define PARAMETERS                                                                               \
    const STORE *a, const STORE *b, STORE *out, const STORE *bias, int relu, STORE *sums, int n, \
        int depth, int m, int a_along, int b_along, int slices, REAL *partial, unsigned *done
#define ARGUMENTS                                                          \
    Lines(a, n, depth, a_along), Lines(b, m, depth, b_along), out,         \
        Besides{bias, relu, sums}, slices, partial, done

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
product_of_small_tiles(PARAMETERS) { product<16>(ARGUMENTS); }

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
product_of_large_tiles(PARAMETERS) { product<32>(ARGUMENTS); }
