// Dropout whose mask is a function of the key, the stream and the place, and is never stored.
#include "common.cuh"
#include "philox.cuh"

// A thread's share: whole packs, and whole counters of four elements.
constexpr int SHARE = WIDTH > 4 ? WIDTH : 4;

// Which of a counter's four numbers in [0, 1) are at least p: a bit for each, the first lowest.
__device__ __forceinline__ unsigned kept(const uint4& word, float p) {
    const unsigned words[] = {word.x, word.y, word.z, word.w};
    unsigned bits = 0;
    for (int j = 0; j < 4; j++) bits |= ((words[j] >> 8) * 0x1p-24f >= p) << j;
    return bits;
}

// out = x * scale, or 0 where a uniform random number in [0, 1) is below p. Element i has number
// before + i: with `skip` a share begins within a counter, and ends within another.
extern "C" __global__ void __launch_bounds__(THREADS)
dropout(const STORE* x, float p, REAL scale, unsigned key0, unsigned key1,
        const long long* counters, long long before, STORE* out, long long n) {
    const unsigned long long stream = counters[FORWARDS];
    const int skip = before % 4;
    const long long threads = gridDim.x * (long long)blockDim.x;
    for (long long i = first() / WIDTH * SHARE; i < n; i += threads * SHARE) {
        const long long counter = (before + i) / 4;
        unsigned keep = 0;
        for (int k = 0; k < SHARE; k += 4)
            keep |= kept(philox(counter + k / 4, stream, key0, key1), p) << k;
        if (skip) keep |= kept(philox(counter + SHARE / 4, stream, key0, key1), p) << SHARE;
        keep >>= skip;
        for (int k = 0; k < SHARE; k += WIDTH) {
            Pack pack = load(x, i + k, n);
            for (int j = 0; j < WIDTH; j++)
                pack.v[j] = keep >> (k + j) & 1 ? pack.v[j] * scale : 0;
            store(out, i + k, n, pack);
        }
    }
}

// The same for images (n, pixels, channels) behind `before` others: the number is that of a channel
// of an image.
extern "C" __global__ void __launch_bounds__(THREADS)
channel_dropout(const STORE* x, float p, REAL scale, unsigned key0, unsigned key1,
                const long long* counters, long long before, long long pixels, long long channels,
                STORE* out, long long n) {
    const unsigned long long stream = counters[FORWARDS];
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(x, i, n);
        long long row = i / channels, channel = i % channels, image = row / pixels, drawn = -1;
        uint4 word = {};
        for (int k = 0; k < WIDTH; k++) {
            const long long place = (before + image) * channels + channel;
            if (place / 4 != drawn) word = philox(drawn = place / 4, stream, key0, key1);
            const unsigned even = place & 2 ? word.z : word.x, odd = place & 2 ? word.w : word.y;
            const unsigned bits = place & 1 ? odd : even;
            pack.v[k] = (bits >> 8) * 0x1p-24f >= p ? pack.v[k] * scale : 0;
            if (++channel == channels) {
                channel = 0;
                image = ++row / pixels;
            }
        }
        store(out, i, n, pack);
    }
}
