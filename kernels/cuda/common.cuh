// What every kernel uses: 16-byte accesses and the loop over an array.
//
// The compiler's options define REAL, the type of arithmetic, STORE, the type of numbers in memory,
// HEADER, the CUDA header that has STORE, if one does, and THREADS, the size of a block (see
// __init__.py). Kernels are written for any number of blocks.
//
// Where STORE is narrower than REAL, what is added to again and again (an optimizer's state, running
// averages) and the statistics of rows and columns are kept as REAL.
#ifdef HEADER
#include HEADER
#endif

constexpr int WIDTH = 16 / sizeof(STORE);  // numbers in one access: 16 bytes are the GPU's longest

enum { STEP, UPDATES, FORWARDS };  // places in `counters`, as in nnkit/backends/contract.py

#define INF ((REAL)__int_as_float(0x7f800000))
#define UNKNOWN ((REAL)__int_as_float(0x7fffffff))  // NaN

// WIDTH neighbours in an array, to compute with.
struct Pack {
    REAL v[WIDTH];
};

// The same as they lie in memory, in words of 16 bytes at most. __ldca and __stwb move them by one
// vector type: of a plain assignment the compiler made four accesses in some kernels.
template <int BYTES> struct Access;
template <> struct Access<16> { typedef uint4 type; };
template <> struct Access<8> { typedef uint2 type; };
template <> struct Access<4> { typedef unsigned type; };
template <> struct Access<2> { typedef unsigned short type; };

template <class T>
union Stored {
    static constexpr int BYTES = WIDTH * sizeof(T) < 16 ? WIDTH * sizeof(T) : 16;
    static constexpr int WORDS = WIDTH * sizeof(T) / BYTES;
    typedef typename Access<BYTES>::type Word;
    T v[WIDTH];
    Word words[WORDS];
};

// Whether whole words can be moved: views begin anywhere and end anywhere.
template <class T>
__device__ __forceinline__ bool fits(const T* address, long long count) {
    return count >= WIDTH && (size_t)address % Stored<T>::BYTES == 0;
}

// Elements i to i + WIDTH of an array that ends at `end`, beyond which they are `fill`.
template <class T>
__device__ __forceinline__ Pack load(const T* x, long long i, long long end, REAL fill = 0) {
    Pack pack;
    if (fits(x + i, end - i)) {
        Stored<T> stored;
        const auto* words = (const typename Stored<T>::Word*)(x + i);
        for (int w = 0; w < Stored<T>::WORDS; w++) stored.words[w] = __ldca(words + w);
        for (int k = 0; k < WIDTH; k++) pack.v[k] = stored.v[k];
    } else {
        for (int k = 0; k < WIDTH; k++) pack.v[k] = i + k < end ? (REAL)x[i + k] : fill;
    }
    return pack;
}

template <class T>
__device__ __forceinline__ void store(T* x, long long i, long long end, const Pack& pack) {
    if (fits(x + i, end - i)) {
        Stored<T> stored;
        for (int k = 0; k < WIDTH; k++) stored.v[k] = pack.v[k];
        auto* words = (typename Stored<T>::Word*)(x + i);
        for (int w = 0; w < Stored<T>::WORDS; w++) __stwb(words + w, stored.words[w]);
    } else {
        for (int k = 0; k < WIDTH; k++)
            if (i + k < end) x[i + k] = pack.v[k];
    }
}

// for (long long i = first(); i < n; i += stride()): a pack for each thread, then the grid moves
// on.
__device__ __forceinline__ long long first() {
    return (blockIdx.x * (long long)blockDim.x + threadIdx.x) * WIDTH;
}
__device__ __forceinline__ long long stride() { return gridDim.x * (long long)blockDim.x * WIDTH; }
