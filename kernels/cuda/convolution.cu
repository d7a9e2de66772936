// Convolutions of few channels in each group, of one in particular (depthwise): as a product they
// would have little to multiply for all that they read. Others are products, see windows.cu.
//
// Kernels are (window, channels of a group, outputs). What is outside of an image is multiplied as
// zeros, as in a product.
#include "columns.cuh"
#include "windows.cuh"

// How channels go to outputs.
struct Groups {
    int channels, outputs, each, of_each;  // channels of a group, and its outputs

    __device__ Groups(int channels, int outputs, int groups)
        : channels(channels), outputs(outputs), each(channels / groups),
          of_each(outputs / groups) {}
    __device__ __forceinline__ bool one() const { return each == channels; }
    __device__ __forceinline__ bool own() const { return each == 1 && of_each == 1; }

    // Of a pixel, for each of WIDTH outputs what it is made of: the number-th channel of its group
    __device__ __forceinline__ Pack of_outputs(const STORE* x, long long pixel, int output,
                                               int number) const {
        const long long begin = pixel * channels;
        Pack pack = {};
        if (pixel < 0) return pack;
        if (own()) return load(x, begin + output, begin + channels);
        const REAL same = one() ? (REAL)x[begin + number] : 0;
        for (int k = 0; k < WIDTH; k++) {
            pack.v[k] = same;
            if (!one() && output + k < outputs)
                pack.v[k] = (REAL)x[begin + (output + k) / of_each * each + number];
        }
        return pack;
    }
};

// Neighbours in a row of the output, for which a thread loads a kernel once
constexpr int PLACES = WIDTH > 4 ? 2 : 4;

// y = f(x * weight + bias), f ReLU or the identity; there may be no bias. A row of the output has
// `of_row` strips.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS / 2)
convolution(const STORE* x, const STORE* weight, const STORE* bias, int relu, STORE* y,
            long long strips, int of_row, unsigned long long per_row, int channels, int outputs,
            int groups, AXES) {
    const Window window = WINDOW;
    const Groups of(channels, outputs, groups);
    const int wide = window.across.places;
    each_pack_of_rows(strips, outputs, [&](long long strip, int o) {
        const Divisor down = {window.down.places, window.down.per_place};
        Point place = point(strip, down, {of_row, per_row});
        place.column *= PLACES;
        REAL sum[PLACES][WIDTH] = {};
        long long kernel = o;
        for (int p = 0; p < window.down.size; p++)
            for (int q = 0; q < window.across.size; q++)
                for (int c = 0; c < of.each; c++, kernel += outputs) {
                    const Pack w = load(weight, kernel, kernel - o + outputs);
                    for (int s = 0; s < PLACES; s++) {
                        const Point at = {place.image, place.row, place.column + s};
                        const Pack v = of.of_outputs(x, window.seen(at, p, q), o, c);
                        for (int k = 0; k < WIDTH; k++) sum[s][k] += v.v[k] * w.v[k];
                    }
                }
        Pack b = {};
        if (bias) b = load(bias, o, outputs);
        const long long line = (place.image * window.down.places + place.row) * wide;
        for (int s = 0; s < PLACES; s++) {
            if (place.column + s >= wide) continue;
            Pack pack;
            for (int k = 0; k < WIDTH; k++) {
                const REAL z = sum[s][k] + b.v[k];
                pack.v[k] = relu && z < 0 ? 0 : z;
            }
            const long long begin = (line + place.column + s) * outputs;
            store(y, begin + o, begin + outputs, pack);
        }
    });
}

// dx = for each pixel the sum of dz times the kernels, over the places that see it
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
convolution_backward_images(const STORE* dz, const STORE* weight, STORE* dx, long long pixels,
                            int channels, int outputs, int groups, AXES) {
    const Window window = WINDOW;
    const Groups of(channels, outputs, groups);
    each_pack_of_rows(pixels, channels, [&](long long pixel, int channel) {
        Pack sum = {};
        window.each_that_sees(window.pixel(pixel), [&](long long place, int element) {
            const long long begin = place * outputs, kernel = (long long)element * of.each * outputs;
            if (of.own()) {
                const Pack d = load(dz, begin + channel, begin + outputs);
                const Pack w = load(weight, kernel + channel, kernel + outputs);
                for (int k = 0; k < WIDTH; k++) sum.v[k] += d.v[k] * w.v[k];
                return;
            }
            for (int k = 0; k < WIDTH; k++) {
                if (channel + k >= channels) continue;
                const int group = (channel + k) / of.each, first = group * of.of_each;
                const STORE* w = weight + kernel + (channel + k - group * of.each) * outputs;
                for (int o = first; o < first + of.of_each; o++)
                    sum.v[k] += (REAL)dz[begin + o] * (REAL)w[o];
            }
        });
        store(dx, pixel * channels + channel, (pixel + 1) * channels, sum);
    });
}

constexpr int KERNELS = 9;  // elements of kernels that a thread adds up at once: all of 3 x 3

// dweight = over all places, the sum of what they see times dz. Blocks are as those of
// column_sums(), blockIdx.z says which KERNELS elements.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS / 2)
convolution_backward_weights(const STORE* dz, const STORE* x, STORE* dweight, long long places,
                             int channels, int outputs, int groups, REAL* partial, unsigned* done,
                             AXES) {
    const Window window = WINDOW;
    const Groups of(channels, outputs, groups);
    const int o = (blockIdx.x * blockDim.x + threadIdx.x) * WIDTH, first = blockIdx.z * KERNELS;
    const int all = window.elements() * of.each, count = all - first < KERNELS ? all - first : KERNELS;
    const long long step = gridDim.y * (long long)blockDim.y;
    REAL sum[KERNELS][WIDTH] = {};
    for (long long row = blockIdx.y * (long long)blockDim.y + threadIdx.y; row < places; row += step) {
        if (o >= outputs) break;
        const Point place = window.place(row);
        const Pack d = load(dz, row * outputs + o, (row + 1) * outputs);
        int c = first % of.each, q = first / of.each % window.across.size;
        int p = first / of.each / window.across.size;
#pragma unroll
        for (int e = 0; e < KERNELS; e++) {
            if (e >= count) continue;
            const Pack v = of.of_outputs(x, window.seen(place, p, q), o, c);
            for (int k = 0; k < WIDTH; k++) sum[e][k] += v.v[k] * d.v[k];
            if (++c == of.each) {
                c = 0;
                if (++q == window.across.size) {
                    q = 0;
                    p++;
                }
            }
        }
    }
    const long long begin = (long long)first * outputs;
    finish_sums(sum, count, outputs, o, partial + begin, (long long)all * outputs,
                done + blockIdx.z * gridDim.x + blockIdx.x, dweight + begin);
}
