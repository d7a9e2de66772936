// The axes of images.
#include "common.cuh"

constexpr int SIDE = 32, PACKS = SIDE / WIDTH;

// Numbers as their bits, which are moved and not computed with.
typedef Access<sizeof(STORE)>::type Bits;

// WIDTH neighbours from place i on, of a row that ends at `end`
__device__ __forceinline__ Stored<Bits> load_bits(const Bits* x, long long i, long long end) {
    Stored<Bits> stored;
    if (fits(x + i, end - i)) {
        const auto* words = (const Stored<Bits>::Word*)(x + i);
        for (int w = 0; w < Stored<Bits>::WORDS; w++) stored.words[w] = __ldca(words + w);
    } else {
        for (int k = 0; k < WIDTH; k++)
            if (i + k < end) stored.v[k] = x[i + k];
    }
    return stored;
}

__device__ __forceinline__ void store_bits(Bits* x, long long i, long long end,
                                           const Stored<Bits>& stored) {
    if (fits(x + i, end - i)) {
        auto* words = (Stored<Bits>::Word*)(x + i);
        for (int w = 0; w < Stored<Bits>::WORDS; w++) __stwb(words + w, stored.words[w]);
    } else {
        for (int k = 0; k < WIDTH; k++)
            if (i + k < end) x[i + k] = stored.v[k];
    }
}

// out[i] = x[i].T for x (n, a, b). A tile is read by its rows and written by its columns, so that
// both accesses are whole; it is one wider, for numbers above each other to lie in different banks.
extern "C" __global__ void __launch_bounds__(THREADS)
transpose(const STORE* x, STORE* out, long long n, long long a, long long b) {
    __shared__ Bits tile[SIDE][SIDE + 1];
    const long long down = (a + SIDE - 1) / SIDE, across = (b + SIDE - 1) / SIDE;
    for (long long t = blockIdx.x; t < n * down * across; t += gridDim.x) {
        const long long image = t / (down * across);
        const long long top = t / across % down * SIDE, left = t % across * SIDE;
        for (int i = threadIdx.x; i < SIDE * PACKS; i += blockDim.x) {
            const int row = i / PACKS, column = i % PACKS * WIDTH;
            if (top + row >= a || left + column >= b) continue;
            const long long begin = (image * a + top + row) * b;
            const Stored<Bits> read = load_bits((const Bits*)x, begin + left + column, begin + b);
            for (int k = 0; k < WIDTH; k++) tile[row][column + k] = read.v[k];
        }
        __syncthreads();
        for (int i = threadIdx.x; i < SIDE * PACKS; i += blockDim.x) {
            const int row = i / PACKS, column = i % PACKS * WIDTH;
            if (left + row >= b || top + column >= a) continue;
            const long long begin = (image * b + left + row) * a;
            Stored<Bits> turned;
            for (int k = 0; k < WIDTH; k++) turned.v[k] = tile[column + k][row];
            store_bits((Bits*)out, begin + top + column, begin + a, turned);
        }
        __syncthreads();  // before the next tile overwrites this one
    }
}
