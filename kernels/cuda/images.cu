// The axes of images.
#include "common.cuh"

constexpr int SIDE = 32, PACKS = SIDE / WIDTH;

// out[i] = x[i].T for x (n, a, b). A tile is read by its rows and written by its columns, so that
// both accesses are whole; the shared memory between is one wider, for threads above each other to
// find it in different banks.
extern "C" __global__ void __launch_bounds__(THREADS)
transpose(const STORE* x, STORE* out, long long n, long long a, long long b) {
    __shared__ REAL tile[SIDE][SIDE + 1];
    const long long down = (a + SIDE - 1) / SIDE, across = (b + SIDE - 1) / SIDE;
    for (long long t = blockIdx.x; t < n * down * across; t += gridDim.x) {
        const long long image = t / (down * across);
        const long long top = t / across % down * SIDE, left = t % across * SIDE;
        for (int i = threadIdx.x; i < SIDE * PACKS; i += blockDim.x) {
            const int row = i / PACKS, column = i % PACKS * WIDTH;
            if (top + row >= a || left + column >= b) continue;
            const long long begin = (image * a + top + row) * b;
            const Pack pack = load(x, begin + left + column, begin + b);
            for (int k = 0; k < WIDTH; k++) tile[row][column + k] = pack.v[k];
        }
        __syncthreads();
        for (int i = threadIdx.x; i < SIDE * PACKS; i += blockDim.x) {
            const int row = i / PACKS, column = i % PACKS * WIDTH;
            if (left + row >= b || top + column >= a) continue;
            const long long begin = (image * b + left + row) * a;
            Pack pack;
            for (int k = 0; k < WIDTH; k++) pack.v[k] = tile[column + k][row];
            store(out, begin + top + column, begin + a, pack);
        }
        __syncthreads();  // before the next tile overwrites this one
    }
}
