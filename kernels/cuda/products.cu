// Products of matrices too small for a library's kernels, whose few blocks each go through the
// whole depth alone: out = a @ b, in tiles of 16 or 32 rows and columns (see tiles.cuh).
//
// Where there are too few tiles for a GPU, and they are deep, several blocks share a tile, and the
// last of them adds up what they have. All is added up in a fixed order.
#include "reduce.cuh"
#include "tiles.cuh"

constexpr int OF_SMALL = 3, OF_LARGE = 8 / sizeof(REAL);  // blocks that a multiprocessor holds

// What is done besides: out += bias, then out = max(out, 0), keeping NaN; sums = column sums of b.
struct Besides {
    const STORE* bias;
    int relu;
    STORE* sums;
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
    const int all = (a.depth + SLICE - 1) / SLICE;
    const int end = begin + slices < all ? begin + slices : all;
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

extern "C" __global__ void __launch_bounds__(THREADS, OF_SMALL)
product_of_small_tiles(PARAMETERS) { product<16>(ARGUMENTS); }

extern "C" __global__ void __launch_bounds__(THREADS, OF_LARGE)
product_of_large_tiles(PARAMETERS) { product<32>(ARGUMENTS); }
