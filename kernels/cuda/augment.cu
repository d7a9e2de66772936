// Pictures changed at random: flipped, turned, scaled, moved, and a square of them cut out.
#include "common.cuh"
#include "philox.cuh"

struct Shape {
    int height, width, channels;
};

// How much pictures are changed at most: see Changes in nnkit/backends/contract.py.
struct Changes {
    int shift;
    double flip, turn, scale;
    int cutout;
};

// How one picture is changed: `along` and `across` are the angle's cosine and sine by the size.
struct Change {
    int down, right, top, left;
    bool flipped;
    double along, across;
};

// A random word as a number in [0, 1), of its upper 24 bits.
__device__ __forceinline__ double part(unsigned word) { return (word >> 8) * 0x1p-24; }

__device__ __forceinline__ Change draw(const Changes& most, const Shape& shape, long long picture,
                                       unsigned long long stream, unsigned key0, unsigned key1) {
    const uint4 a = philox(2 * picture, stream, key0, key1);
    const uint4 b = philox(2 * picture + 1, stream, key0, key1);
    Change change;
    change.down = (int)((2 * most.shift + 1) * part(a.x)) - most.shift;
    change.right = (int)((2 * most.shift + 1) * part(a.y)) - most.shift;
    change.top = (int)(shape.height * part(a.z)) - most.cutout / 2;
    change.left = (int)(shape.width * part(a.w)) - most.cutout / 2;
    change.flipped = part(b.x) < most.flip;
    const double size = 1 + most.scale * (2 * part(b.z) - 1);
    sincospi(most.turn * (2 * part(b.y) - 1), &change.across, &change.along);
    change.along /= size;
    change.across /= size;
    return change;
}

// A pixel's number of a channel; outside of the picture 0.
__device__ __forceinline__ REAL pixel(const STORE* x, const Shape& shape, int row, int column,
                                      int channel) {
    if (row < 0 || row >= shape.height || column < 0 || column >= shape.width) return 0;
    return x[(row * shape.width + column) * shape.channels + channel];
}

// What is between the four pixels around a place, in proportion to how near each of them is.
__device__ __forceinline__ REAL between(const STORE* x, const Shape& shape, double row,
                                        double column, int channel) {
    const int above = (int)floor(row), left = (int)floor(column);
    const REAL down = row - above, right = column - left;
    const REAL upper = (1 - right) * pixel(x, shape, above, left, channel) +
                       right * pixel(x, shape, above, left + 1, channel);
    const REAL lower = (1 - right) * pixel(x, shape, above + 1, left, channel) +
                       right * pixel(x, shape, above + 1, left + 1, channel);
    return (1 - down) * upper + down * lower;
}

// A number of a changed picture, at this place among its height * width * channels.
__device__ __forceinline__ REAL changed(const STORE* x, const Shape& shape, const Changes& most,
                                        const Change& change, int place) {
    const int channel = place % shape.channels;
    const int i = place / shape.channels / shape.width, j = place / shape.channels % shape.width;
    if (i >= change.top && i < change.top + most.cutout && j >= change.left &&
        j < change.left + most.cutout)
        return 0;
    if (most.turn == 0 && most.scale == 0) {
        const int column = j - change.right;
        return pixel(x, shape, i - change.down, change.flipped ? shape.width - 1 - column : column,
                     channel);
    }
    const double middle = (shape.height - 1) / 2.0, centre = (shape.width - 1) / 2.0;
    const double y = i - change.down - middle, z = j - change.right - centre;
    const double row = middle + (change.along * y + change.across * z);
    const double column = centre + (change.along * z - change.across * y);
    return between(x, shape, row, change.flipped ? shape.width - 1 - column : column, channel);
}

// A block takes a part of every gridDim.y-th picture: its first thread draws, the others wait. The
// pictures are those of a batch behind `before` others.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
augment(const STORE* x, int shift, double flip, double turn, double scale, int cutout,
        unsigned key0, unsigned key1, const long long* counters, long long before, STORE* out,
        long long pictures, int height, int width, int channels) {
    __shared__ Change change;
    const Changes most = {shift, flip, turn, scale, cutout};
    const Shape shape = {height, width, channels};
    const int size = height * width * channels;
    for (long long picture = blockIdx.y; picture < pictures; picture += gridDim.y) {
        __syncthreads();
        if (threadIdx.x == 0)
            change = draw(most, shape, before + picture, counters[FORWARDS], key0, key1);
        __syncthreads();
        const STORE* from = x + picture * size;
        for (long long i = first(); i < size; i += stride()) {
            Pack pack;
            for (int k = 0; k < WIDTH; k++)
                pack.v[k] = i + k < size ? changed(from, shape, most, change, i + k) : 0;
            store(out + picture * size, i, size, pack);
        }
    }
}
